// How far read(2) and write(2) have come on a TCP socket, as the kernel counts it. Failure is a negative errno value.
#ifndef BATON_CSESSIONARENA_STREAM_POSITION_H
#define BATON_CSESSIONARENA_STREAM_POSITION_H

#include <stdint.h>
#include <sys/epoll.h>  // Glibc's module lacks these
#include <sys/eventfd.h>

// A memfd of `size` bytes that can neither shrink nor grow, or a negative errno value.
int arena_memory(uint64_t size);

// Keeps mapped memory from being written to a disk, page by page as each is first used. Returns whether that is allowed.
int arena_lock(void *address, uint64_t size);

// Gives the pages of a part of the memory back to the system, locked or not; zeros are there then.
void arena_discard(int descriptor, uint64_t start, uint64_t size);

struct stream_position {
    uint64_t read;     // bytes that read(2) has given since the socket was made
    uint64_t written;  // bytes that write(2) has taken, and one more on a socket that connected
    uint8_t has_fin;   // the peer's FIN has come
    uint8_t is_shut;   // ours has been queued
    uint8_t is_closed;  // the connection is over: reset, timed out, or ended on both sides; `read` and `written` then
                        // count one more for a FIN that the kernel no longer tells of
    uint8_t has_error;  // an error waits to be taken
};

// Asks the kernel until its counters stand still; -EAGAIN if they never do.
int stream_position_of(int fd, struct stream_position *position);

// Bytes that write(2) has taken and the peer has not acknowledged; of a Unix socket the memory of those it has not read.
int stream_unacknowledged(int fd);

// Resets the connection now, also while others hold the socket. A Unix socket, which has no RST, is shut both ways.
int stream_reset(int fd);

#endif
