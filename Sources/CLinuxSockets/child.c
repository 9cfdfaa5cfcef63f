#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "child.h"
#include "signals.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <linux/close_range.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

// Has the child close every descriptor from `first` on.
static int close_from(posix_spawn_file_actions_t *actions, int first) {
#ifdef __GLIBC__
    return posix_spawn_file_actions_addclosefrom_np(actions, first);
#else
    // musl has no such action. This process makes all descriptors close-on-exec anyway; this is for those that it was given.
    (void)actions;
    return syscall(SYS_close_range, first, ~0U, CLOSE_RANGE_CLOEXEC) == 0 ? 0 : errno;
#endif
}

pid_t baton_spawn(const char *path, char *const arguments[], int standard_input, int extra, int is_ours) {
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int result = posix_spawn_file_actions_init(&actions);
    if (result != 0) return -result;
    result = posix_spawnattr_init(&attributes);
    if (result != 0) {
        posix_spawn_file_actions_destroy(&actions);
        return -result;
    }
    sigset_t all, blocked;
    sigfillset(&all);
    sigemptyset(&blocked);
    if (is_ours) baton_signals_held(&blocked);
    pid_t pid = 0;
    if ((result = posix_spawn_file_actions_adddup2(&actions, standard_input, 0)) == 0 &&
        (extra < 0 || (result = posix_spawn_file_actions_adddup2(&actions, extra, 3)) == 0) &&
        (result = close_from(&actions, extra < 0 ? 3 : 4)) == 0 &&
        (result = posix_spawnattr_setsigdefault(&attributes, &all)) == 0 &&
        (result = posix_spawnattr_setsigmask(&attributes, &blocked)) == 0 &&
        (result = posix_spawnattr_setpgroup(&attributes, 0)) == 0 &&
        (result = posix_spawnattr_setflags(
             &attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP)) == 0) {
        result = posix_spawn(&pid, path, &actions, &attributes, arguments, environ);
    }
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return result == 0 ? pid : -result;
}

// What follows vfork(2) in the child: system calls alone, in memory that is the parent's. Returns an errno value.
static int become(int program, const char *path, char *const arguments[], int standard_input, int extra,
                  const sigset_t *blocked, pid_t parent, int dies_with_parent) {
    if (setpgid(0, 0) != 0) return errno;
    struct sigaction action = {.sa_handler = SIG_DFL};
    for (int number = 1; number < NSIG; number++) sigaction(number, &action, NULL);
    if (dup2(standard_input, 0) < 0) return errno;
    if (extra == 3) {
        if (fcntl(3, F_SETFD, 0) != 0) return errno;
    } else if (extra >= 0 && dup2(extra, 3) < 0) {
        return errno;
    }
    if (syscall(SYS_close_range, extra < 0 ? 3u : 4u, ~0u, CLOSE_RANGE_CLOEXEC) != 0) return errno;
    if (dies_with_parent) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent) _exit(0);
    }
    sigprocmask(SIG_SETMASK, blocked, NULL);
    if (program >= 0) {
        syscall(SYS_execveat, program, "", arguments, environ, AT_EMPTY_PATH);
    } else {
        execve(path, arguments, environ);
    }
    return errno;
}

pid_t baton_start(int program, const char *path, char *const arguments[], int standard_input, int extra,
                  int dies_with_parent) {
    // Out of the way of what is to be 0 and 3.
    int from = fcntl(standard_input, F_DUPFD_CLOEXEC, 4);
    if (from < 0) return -errno;
    int file = program < 0 ? -1 : fcntl(program, F_DUPFD_CLOEXEC, 4);
    if (program >= 0 && file < 0) {
        int code = errno;
        close(from);
        return -code;
    }
    sigset_t all, before, blocked;
    sigfillset(&all);
    baton_signals_held(&blocked);
    pid_t parent = getpid();
    volatile int failure = 0;
    sigprocmask(SIG_BLOCK, &all, &before);
    pid_t pid = vfork();
    if (pid == 0) {
        failure = become(file, path, arguments, from, extra, &blocked, parent, dies_with_parent);
        _exit(127);
    }
    int code = pid < 0 ? errno : failure;
    sigprocmask(SIG_SETMASK, &before, NULL);
    if (file >= 0) close(file);
    close(from);
    if (pid > 0 && code != 0) {
        while (waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
        }
    }
    return code == 0 ? pid : -code;
}

int baton_own_program(void) {
    int file = open("/proc/self/exe", O_PATH | O_CLOEXEC);
    return file >= 0 ? file : -errno;
}

int baton_replace(int program, char *const arguments[]) {
    baton_signals_hold();
    struct sigaction before;
    sigaction(SIGPIPE, NULL, &before);
    signal(SIGPIPE, SIG_DFL);
    syscall(SYS_execveat, program, "", arguments, environ, AT_EMPTY_PATH);
    int code = errno;
    sigaction(SIGPIPE, &before, NULL);
    baton_signals_release();
    return -code;
}

pid_t baton_reap(int *status) {
    pid_t pid;
    do {
        pid = waitpid(-1, status, WNOHANG);
    } while (pid < 0 && errno == EINTR);
    return pid < 0 ? -errno : pid;
}

int baton_child_pidfd(pid_t pid) {
    // Close-on-exec by itself.
    int result = (int)syscall(SYS_pidfd_open, pid, 0);
    return result >= 0 ? result : -errno;
}

int baton_run(const char *path, const char *argument, int milliseconds) {
    char *const arguments[] = {(char *)path, (char *)argument, NULL};
    int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (nothing < 0) return -errno;
    pid_t pid = baton_spawn(path, arguments, nothing, -1, 0);
    close(nothing);
    if (pid < 0) return pid;
    int result = 0;
    struct pollfd process = {.fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN};
    if (process.fd >= 0) {
        do {
            result = poll(&process, 1, milliseconds);
        } while (result < 0 && errno == EINTR);
        // What it has started, too: its process group is its own.
        if (result == 0) kill(-pid, SIGKILL);
        close(process.fd);
    }
    int status = 0;
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR) return -errno;
    }
    return status;
}
