// Starting a process that inherits nothing it is not meant to have.
#ifndef BATON_CLINUXSOCKETS_CHILD_H
#define BATON_CLINUXSOCKETS_CHILD_H

#include <sys/types.h>

// Starts `path` in a process group of its own, with `standard_input` as its descriptor 0 and `extra` as its descriptor 3
// (-1: none), with standard output and standard error inherited and every other descriptor closed, and with default
// signal handling. `is_ours`: it is a program of this server, which signals reach only when it catches them
// (baton_signals_catch). Returns the pid or a negative errno value.
pid_t baton_spawn(const char *path, char *const arguments[], int standard_input, int extra, int is_ours);

// As baton_spawn, of a program of this server. `program`: a descriptor of its file (O_PATH will do), which is executed whatever
// has become of its path; -1: the file at `path`. `dies_with_parent`: it is killed when the thread that starts it ends.
// Takes a kernel with CLOSE_RANGE_CLOEXEC (Linux 5.11), and returns -ENOSYS or -EINVAL without.
pid_t baton_start(int program, const char *path, char *const arguments[], int standard_input, int extra,
                  int dies_with_parent);

// A descriptor of the file that this process runs, for baton_start and baton_replace, or a negative errno value.
int baton_own_program(void);

// Executes the program of that descriptor in this process. Descriptors that are not close-on-exec stay. Returns only if that
// fails, a negative errno value; signals are caught as before then.
int baton_replace(int program, char *const arguments[]);

// Whether a child has ended, of all that there are: its pid, with its wait status; 0: none has; -ECHILD: there is none.
pid_t baton_reap(int *status);

// A descriptor that becomes readable when the child ends. Returns it or a negative errno value.
int baton_child_pidfd(pid_t pid);

// Runs `path` with one argument, started as by baton_spawn with nothing to read, and waits for its end, at most
// `milliseconds`; then its process group is killed. Returns its wait status or a negative errno value.
int baton_run(const char *path, const char *argument, int milliseconds);

#endif
