#define _GNU_SOURCE
#include "include/process_rest.h"

#include <malloc.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

void process_trim_heap(void) {
    // musl's allocator gives free pages back by itself.
#ifdef __GLIBC__
    malloc_trim(0);
#endif
}

// struct sched_attr of <linux/sched/types.h>, which does not go together with <sched.h>.
struct scheduling {
    uint32_t size;
    uint32_t policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime;
    uint64_t deadline;
    uint64_t period;
};

void thread_prefer_latency(void) {
    struct scheduling current;
    memset(&current, 0, sizeof current);
    if (syscall(SYS_sched_getattr, 0, &current, sizeof current, 0) != 0) return;
    if (current.policy != 0) return;  // SCHED_OTHER; whoever has given the thread another knows why
    current.size = sizeof current;
    current.runtime = 100 * 1000;  // nanoseconds, the shortest slice that there is
    syscall(SYS_sched_setattr, 0, &current, 0);
}
