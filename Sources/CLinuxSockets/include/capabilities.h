// What a process that holds a privilege gives up.
#ifndef BATON_CLINUXSOCKETS_CAPABILITIES_H
#define BATON_CLINUXSOCKETS_CAPABILITIES_H

// Gives up, for the calling thread and every program it executes, all capabilities but those in `kept`. A whole process
// is confined when its only thread calls this and then execve(2). Returns 0 or a negative errno value.
int baton_keep_capabilities(const int *kept, int count);

// Whether the calling thread has the capability in effect.
int baton_has_capability(int capability);

#endif
