// What a process that holds secrets, or a privilege, asks of the kernel for itself.
#ifndef BATON_CLINUXSOCKETS_PROCESS_H
#define BATON_CLINUXSOCKETS_PROCESS_H

// No core dumps, and no ptrace(2) or reading of /proc/PID/mem by other processes of the same user. Returns 0 or a
// negative errno value.
int baton_make_undumpable(void);

// Gives up, for the calling thread and every program it executes, all capabilities but those in `kept`. A whole process
// is confined when its only thread calls this and then execve(2). Returns 0 or a negative errno value.
int baton_keep_capabilities(const int *kept, int count);

// Whether the calling thread has the capability in effect.
int baton_has_capability(int capability);

#endif
