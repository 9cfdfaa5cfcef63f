// What a process that holds secrets asks of the kernel for itself.
#ifndef BATON_CLINUXSOCKETS_PROCESS_H
#define BATON_CLINUXSOCKETS_PROCESS_H

#include <sys/types.h>

// No core dumps, and no ptrace(2) or reading of /proc/PID/mem by other processes of the same user. Returns 0 or a
// negative errno value.
int baton_make_undumpable(void);

// Becomes another user for good: real, effective and saved ids, and the supplementary groups of the user `name`, or just
// `group` if that is NULL. Sees that root cannot be regained, also by no program started from this thread
// (PR_SET_NO_NEW_PRIVS). Returns 0 or a negative errno value; the process must end then, since it may be in between.
//
// glibc leaves out threads that are ending, and the main thread of a program that waits in dispatch_main() is ending for as
// long as it lives. So only a program that is executed from here on has nothing of root's left.
int baton_become(uid_t user, gid_t group, const char *name);

// Executes `path`, or this very program if that cannot be, with `descriptors` as its descriptors from 3 on. Returns only if
// that fails, a negative errno value.
int baton_execute(const char *path, char *const arguments[], const int *descriptors, int count);

// Opens /dev/null as each of the descriptors 0, 1 and 2 that is closed: what is opened first would be written to as if it were
// a standard output.
void baton_fill_standard_descriptors(void);

#endif
