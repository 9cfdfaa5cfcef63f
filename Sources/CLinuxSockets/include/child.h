// Starting a process that inherits nothing it is not meant to have.
#ifndef BATON_CLINUXSOCKETS_CHILD_H
#define BATON_CLINUXSOCKETS_CHILD_H

#include <sys/types.h>

// Starts `path` in a process group of its own, with `standard_input` as its descriptor 0, with standard output and
// standard error inherited and every other descriptor closed, and with default signal handling. Returns the pid or a
// negative errno value.
pid_t baton_spawn(const char *path, char *const arguments[], int standard_input);

#endif
