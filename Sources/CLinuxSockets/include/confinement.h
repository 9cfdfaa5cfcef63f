// What a process of the server gives up once it has what it needs.

#ifndef BATON_CONFINEMENT_H
#define BATON_CONFINEMENT_H

// How many threads this process has; -1: that cannot be told.
int baton_thread_count(void);

// From here on nothing that is executed gets a privilege. 0 or a negative errno value.
int baton_no_new_privileges(void);

// From here on this thread, and threads that it starts, execute no file, and make, change and remove files only below these
// directories (Landlock). Files are read as before. What is open stays so. Directories that are not there are passed over.
// 0 or a negative errno value; -EOPNOTSUPP or -ENOSYS: this kernel cannot.
int baton_restrict_files(const char *const *directories, int count);

// From here on system calls that this server has no use for fail with EPERM, in every thread (seccomp). 0 or a negative errno
// value.
int baton_restrict_calls(void);

// How many bytes this process may keep from being swapped (RLIMIT_MEMLOCK); -1: any.
long long baton_memory_lock_limit(void);

// For tests: 0 if this process may trace another, or an errno value.
int baton_try_trace(void);

#endif
