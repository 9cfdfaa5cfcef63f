// How a process that holds secrets dies of a fault of its own.
#ifndef BATON_CLINUXSOCKETS_CRASH_H
#define BATON_CLINUXSOCKETS_CRASH_H

// From here on a fatal signal (SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP) makes one line on
// standard error, which begins with "baton: NAME PID" and holds nothing of memory or registers, and then ends the process
// as the signal does by default. It takes the place of whatever handler there was: the Swift runtime's prints both when
// the environment asks for it (SWIFT_BACKTRACE). `name` is cut at 31 bytes.
void baton_die_quietly(const char *name);

#endif
