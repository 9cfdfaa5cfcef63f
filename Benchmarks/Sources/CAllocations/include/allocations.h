// Counts the heap allocations of the whole process, libcrypto's and the Swift runtime's included, by standing in front
// of the C library's allocator.
#ifndef BENCHMARKS_ALLOCATIONS_H
#define BENCHMARKS_ALLOCATIONS_H

#include <stddef.h>
#include <stdint.h>

// From here on allocations are counted, from zero.
void allocations_arm(void);

// Stops counting; returns how many there were.
uint64_t allocations_disarm(void);

// Bytes of heap in use, with the allocator's own headers.
size_t allocations_heap_in_use(void);

#endif
