#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "child.h"
#include "signals.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

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
        (result = posix_spawn_file_actions_addclosefrom_np(&actions, extra < 0 ? 3 : 4)) == 0 &&
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
