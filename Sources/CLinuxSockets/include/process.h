// What a process that holds secrets asks of the kernel for itself.
#ifndef BATON_CLINUXSOCKETS_PROCESS_H
#define BATON_CLINUXSOCKETS_PROCESS_H

// No core dumps, and no ptrace(2) or reading of /proc/PID/mem by other processes of the same user. Returns 0 or a
// negative errno value.
int baton_make_undumpable(void);

#endif
