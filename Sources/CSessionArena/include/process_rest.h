// What the process asks of the allocator and of the scheduler.
#ifndef BATON_CSESSIONARENA_PROCESS_REST_H
#define BATON_CSESSIONARENA_PROCESS_REST_H

// Gives whole free pages of the process's heap back to the system.
void process_trim_heap(void);

// Asks for short time slices for the calling thread: when it wakes it is run soon, before what computes at length, and for no
// more of the processor's time than before. Linux before 6.12 has one length for all, and stays with it.
void thread_prefer_latency(void);

#endif
