// What a process that holds secrets asks of the kernel for itself.
#ifndef BATON_CLINUXSOCKETS_PROCESS_H
#define BATON_CLINUXSOCKETS_PROCESS_H

#include <stddef.h>
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

// What the kernel calls this process; a program that is executed by a descriptor has the descriptor's number for a name.
void baton_name_process(const char *name);

// An anonymous file with this content (memfd_create(2)), close-on-exec. Returns its descriptor or a negative errno value.
int baton_memory_file(const char *name, const void *bytes, size_t count);

// What stat(2) says of a file. (Which Swift module declares struct stat depends on what else a file's neighbours import.)
typedef struct {
    unsigned int kind;  // S_IFREG and the like
    unsigned long long device, file, links;
    long long size;
    long long modified, changed;  // when the content and what is known of the file was changed, nanoseconds since 1970
    unsigned int mode;            // the permission bits
} baton_file_status;

// Of the file at `path`, or of a link there unless it is followed. Returns 0 or -1, with errno.
int baton_file_at(const char *path, int follows, baton_file_status *status);
int baton_file_of(int descriptor, baton_file_status *status);

#endif
