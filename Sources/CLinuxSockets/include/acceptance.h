// Accepting connections at many sockets: what Swift cannot import. No function blocks. Failure is a negative errno value.
#ifndef BATON_CLINUXSOCKETS_ACCEPTANCE_H
#define BATON_CLINUXSOCKETS_ACCEPTANCE_H

#include <stddef.h>

// The next connection that waits at `fd`, close-on-exec and non-blocking, and where it comes from: `peer` has `size` bytes
// for a socket address. -EAGAIN if none waits.
int baton_accept_from(int fd, void *peer, size_t size);

// An epoll instance, and what it watches for connections that wait. A descriptor that is held is reported at most once, and
// from baton_watch_begin on as others are.
int baton_watch_open(void);
int baton_watch_add(int watch, int fd);
int baton_watch_hold(int watch, int fd);
int baton_watch_begin(int watch, int fd);
int baton_watch_remove(int watch, int fd);

// Fills `ready` with at most `most` watched descriptors at which something waits. Returns how many.
int baton_watch_ready(int watch, int *ready, int most);

// A descriptor that is readable once something has been written to it (eventfd).
int baton_wake_open(void);

#endif
