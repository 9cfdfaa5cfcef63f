// How far read(2) and write(2) have come on a Unix stream socket, of which the kernel keeps no counters.
//
// SO_PEEK_OFF counts what is read: the kernel takes from it whatever read(2) gives, under the lock under which it gives it,
// and the value is the socket's, not the process's. It has 31 bits: it says where in a stream read(2) is to a multiple of
// 2^30, and is raised again long before it reaches 0.
//
// sendmmsg(2) tells what was taken: within the call in which the kernel queues bytes it stores their count in the message
// that it was given, and no signal ends a process between the two. That message is in the arena.
//
// Failure is a negative errno value.
#ifndef BATON_CSESSIONARENA_UNIX_STREAM_H
#define BATON_CSESSIONARENA_UNIX_STREAM_H

#include <stddef.h>
#include <stdint.h>

#include "arena.h"

#pragma clang assume_nonnull begin

// Whether this is a Unix stream socket whose reads the kernel can count.
int unix_stream_check(int fd);

// Has the kernel count what read(2) gives, which has come to `position`. MSG_PEEK is of no use meanwhile.
int unix_stream_count(int fd, uint64_t position);

// How far read(2) has come, which is at or behind `least` by less than 2^30.
int unix_stream_position(int fd, uint64_t least, uint64_t *position);

// Has the kernel count no more.
void unix_stream_release(int fd);

// Gives the kernel the bytes of which arena_sending_begin told, and returns how many it took.
int64_t unix_stream_send(int fd, struct arena_header *header, const void *bytes);

#pragma clang assume_nonnull end

#endif
