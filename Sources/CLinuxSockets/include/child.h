// Starting a process that inherits nothing it is not meant to have.
#ifndef BATON_CLINUXSOCKETS_CHILD_H
#define BATON_CLINUXSOCKETS_CHILD_H

#include <sys/types.h>

// Starts `path` in a process group of its own, with `standard_input` as its descriptor 0 and `extra` as its descriptor 3
// (-1: none), with standard output and standard error inherited and every other descriptor closed, and with default
// signal handling. `is_ours`: it is a program of this server, which signals reach only when it catches them
// (baton_signals_catch). Returns the pid or a negative errno value.
pid_t baton_spawn(const char *path, char *const arguments[], int standard_input, int extra, int is_ours);

// A descriptor that becomes readable when the child ends. Returns it or a negative errno value.
int baton_child_pidfd(pid_t pid);

// Runs `path` with one argument, started as by baton_spawn with nothing to read, and waits for its end, at most
// `milliseconds`; then its process group is killed. Returns its wait status or a negative errno value.
int baton_run(const char *path, const char *argument, int milliseconds);

#endif
