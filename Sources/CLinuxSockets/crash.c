#define _GNU_SOURCE
#include "include/crash.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

static const struct {
    int number;
    const char *name;
} fatal[] = {
    {SIGABRT, "SIGABRT"}, {SIGBUS, "SIGBUS"},   {SIGFPE, "SIGFPE"}, {SIGILL, "SIGILL"},
    {SIGSEGV, "SIGSEGV"}, {SIGSYS, "SIGSYS"}, {SIGTRAP, "SIGTRAP"},
};
enum { FATAL_COUNT = sizeof fatal / sizeof *fatal, LONGEST_NAME = 31, NULL_PAGES = 64 << 10 };

static char process_name[LONGEST_NAME + 1];

// What is beyond the end is left out.
typedef struct {
    char bytes[192];
    size_t count;
} line;

static void add(line *line, const char *text) {
    while (*text != 0 && line->count < sizeof line->bytes - 1) line->bytes[line->count++] = *text++;
}

static void add_number(line *line, unsigned number) {
    char digits[11];
    char *first = digits + sizeof digits - 1;
    *first = 0;
    do *--first = (char)('0' + number % 10);
    while ((number /= 10) != 0);
    add(line, first);
}

// An address may be a secret that was taken for one, so only its kind is told.
static const char *kind_of_address(const siginfo_t *information) {
    // A general protection fault: the kernel tells no address.
    if (information->si_code == SI_KERNEL) return ", at an address that there cannot be";
    if ((uintptr_t)information->si_addr < NULL_PAGES) return ", at an address near null";
    if (information->si_signo == SIGBUS) return ", at an address that has no memory behind it";
    return information->si_code == SEGV_ACCERR ? ", at an address that may not be used so"
                                               : ", at an address that is not mapped";
}

// Only what signal-safety(7) allows.
static void die(int number, siginfo_t *information, void *context) {
    (void)context;
    int code = errno;
    line line = {.count = 0};
    add(&line, "baton: ");
    add(&line, process_name);
    add(&line, " ");
    add_number(&line, (unsigned)getpid());
    add(&line, " has died of ");
    for (int i = 0; i < FATAL_COUNT; i++) {
        if (fatal[i].number == number) add(&line, fatal[i].name);
    }
    if (information->si_code == SI_USER || information->si_code == SI_TKILL || information->si_code == SI_QUEUE) {
        add(&line, ", sent by ");
        if (information->si_pid == getpid()) {
            add(&line, "itself");
        } else {
            add(&line, "process ");
            add_number(&line, (unsigned)information->si_pid);
        }
    } else if (number == SIGSEGV || number == SIGBUS) {
        add(&line, kind_of_address(information));
    }
    add(&line, "\n");
    // A reader of the log that stands still must not keep the process: room for a line is told before it is written.
    struct pollfd output = {.fd = STDERR_FILENO, .events = POLLOUT};
    if (poll(&output, 1, 0) == 1 && (output.revents & POLLOUT) != 0) {
        ssize_t written = write(STDERR_FILENO, line.bytes, line.count);
        (void)written;
    }
    signal(number, SIG_DFL);
    errno = code;
    raise(number);
}

void baton_die_quietly(const char *name) {
    strncpy(process_name, name, LONGEST_NAME);
    struct sigaction action = {.sa_sigaction = die};
    // SA_ONSTACK: of a stack overflow where the thread has another stack. SA_NODEFER: raise(3) acts at once.
    action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
    sigemptyset(&action.sa_mask);
    for (int i = 0; i < FATAL_COUNT; i++) sigaction(fatal[i].number, &action, NULL);
}
