#define _GNU_SOURCE
#include "signals.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static const int kept[] = {SIGHUP, SIGUSR2, SIGTERM, SIGINT, SIGQUIT};
// SIGXFSZ: a log file that may not grow is an error of write(2). SIGTTOU and SIGTTIN: a terminal of another's must not stop
// a server that writes its log there.
static const int ignored[] = {SIGUSR1, SIGALRM,   SIGVTALRM, SIGPROF, SIGIO,  SIGPWR,
                              SIGPIPE, SIGSTKFLT, SIGXFSZ,   SIGXCPU, SIGTTIN, SIGTTOU};
enum { KEPT_COUNT = sizeof kept / sizeof kept[0], IGNORED_COUNT = sizeof ignored / sizeof ignored[0] };

// The signals, a byte each. A pipe and not a signalfd(2), which needs them blocked in every thread.
static int pipe_ends[2] = {-1, -1};

static void keep(int number) {
    int code = errno;
    unsigned char byte = (unsigned char)number;
    // A pipe that is full has tens of thousands that nobody has read: one more tells nothing.
    ssize_t written = write(pipe_ends[1], &byte, 1);
    (void)written;
    errno = code;
}

void baton_signals_held(sigset_t *set) {
    sigemptyset(set);
    for (int i = 0; i < KEPT_COUNT; i++) sigaddset(set, kept[i]);
    for (int i = 0; i < IGNORED_COUNT; i++) sigaddset(set, ignored[i]);
    for (int number = SIGRTMIN; number <= SIGRTMAX; number++) sigaddset(set, number);
}

int baton_signals_catch(void) {
    if (pipe2(pipe_ends, O_CLOEXEC | O_NONBLOCK) != 0) return -errno;
    struct sigaction action = {.sa_handler = SIG_IGN};
    for (int i = 0; i < IGNORED_COUNT; i++) sigaction(ignored[i], &action, NULL);
    for (int number = SIGRTMIN; number <= SIGRTMAX; number++) sigaction(number, &action, NULL);
    action = (struct sigaction){.sa_handler = keep, .sa_flags = SA_RESTART};
    sigfillset(&action.sa_mask);
    for (int i = 0; i < KEPT_COUNT; i++) sigaction(kept[i], &action, NULL);
    sigset_t held;
    baton_signals_held(&held);
    sigprocmask(SIG_UNBLOCK, &held, NULL);
    return 0;
}

int baton_signals_next(void) {
    if (pipe_ends[0] < 0) return -EBADF;
    // Only signal handlers must not wait.
    int flags = fcntl(pipe_ends[0], F_GETFL);
    if ((flags & O_NONBLOCK) != 0) fcntl(pipe_ends[0], F_SETFL, flags & ~O_NONBLOCK);
    unsigned char byte;
    ssize_t count;
    do {
        count = read(pipe_ends[0], &byte, 1);
    } while (count < 0 && errno == EINTR);
    return count == 1 ? byte : -errno;
}

void baton_signals_hold(void) {
    sigset_t held;
    baton_signals_held(&held);
    sigprocmask(SIG_SETMASK, &held, NULL);
    if (pipe_ends[0] < 0) return;
    int flags = fcntl(pipe_ends[0], F_GETFL);
    fcntl(pipe_ends[0], F_SETFL, flags | O_NONBLOCK);
    unsigned char byte;
    // For this thread: what is pending for it stays so when it executes another program.
    while (read(pipe_ends[0], &byte, 1) == 1) {
        // One that is not blocked, SIGCHLD, would be in the pipe again at once. Whoever goes on looks for ends by himself.
        if (sigismember(&held, byte) == 1) raise(byte);
    }
}

void baton_signals_release(void) {
    sigset_t held;
    baton_signals_held(&held);
    sigprocmask(SIG_UNBLOCK, &held, NULL);
}

int baton_signals_descriptor(void) {
    if (pipe_ends[0] < 0) return -EBADF;
    struct sigaction action = {.sa_handler = keep, .sa_flags = SA_RESTART | SA_NOCLDSTOP};
    sigfillset(&action.sa_mask);
    sigaction(SIGCHLD, &action, NULL);
    // Whoever started this process may have blocked it.
    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGCHLD);
    sigprocmask(SIG_UNBLOCK, &ends, NULL);
    return pipe_ends[0];
}

int baton_signals_take(void) {
    unsigned char byte;
    ssize_t count;
    do {
        count = read(pipe_ends[0], &byte, 1);
    } while (count < 0 && errno == EINTR);
    return count == 1 ? byte : 0;
}
