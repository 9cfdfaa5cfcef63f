// What a process that holds secrets asks of the kernel for itself.
#ifndef BATON_CLINUXSOCKETS_PROCESS_H
#define BATON_CLINUXSOCKETS_PROCESS_H

#include <sys/types.h>

// No core dumps, and no ptrace(2) or reading of /proc/PID/mem by other processes of the same user. Returns 0 or a
// negative errno value.
int baton_make_undumpable(void);

// Becomes another user for good, in all threads: real, effective and saved ids, and the supplementary groups of the user
// `name`, or just `group` if that is NULL. Sees that root cannot be regained. Returns 0 or a negative errno value; the
// process must end then, since it may be in between.
int baton_become(uid_t user, gid_t group, const char *name);

#endif
