// Unix sockets that carry descriptors, and proofs about the process at the other end: what Swift cannot import (CMSG
// macros, ioctls) or should not spell out. No function blocks, unless it takes a time limit. Failure is a negative
// errno value.
#ifndef BATON_CLINUXSOCKETS_HANDOFF_H
#define BATON_CLINUXSOCKETS_HANDOFF_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// The kernel's SCM_MAX_FD: the most descriptors one message can carry.
enum { BATON_DESCRIPTORS_PER_MESSAGE = 253 };

typedef struct {
    int32_t pid;  // 0: not visible from this process's pid namespace
    uint32_t uid;
    uint32_t gid;
} baton_credentials;

typedef struct {
    int32_t descriptor_count;  // how many of `descriptors` were filled
    int32_t sender;            // the sender's pid as the kernel attests it; 0: not known
    int32_t truncated;         // the bytes did not fit (MSG_TRUNC)
    int32_t lost_descriptors;  // descriptors did not fit, here or in the process's table (MSG_CTRUNC)
} baton_message;

// Sends `head` and then `body` as one message with `descriptor_count` descriptors. Returns 0.
int baton_send_message(int fd, const void *head, size_t head_count, const void *body, size_t body_count,
                       const int *descriptors, int descriptor_count);

// Receives one message; `waits` allows to wait for it, as long as `baton_limit_waiting` says. `descriptors` has room for BATON_DESCRIPTORS_PER_MESSAGE; they are close-on-exec and the
// caller's. Returns the bytes read, 0 at the end of the channel. Bytes sent before the end are read before it, also
// when the other side closed with messages of ours unread (the kernel reports ECONNRESET ahead of its queue then).
ssize_t baton_receive_message(int fd, int waits, void *bytes, size_t count, int *descriptors, baton_message *message);

// How long receiving may wait. Returns 0; -EOPNOTSUPP if the socket is non-blocking and cannot wait.
int baton_limit_waiting(int fd, int milliseconds);

// Asks that each message come with its sender's pid.
int baton_attest_senders(int fd);

// Makes room for a small message on a socket whose send buffer is full.
int baton_raise_send_buffer(int fd);

// The uid, gid and pid of the other end: of the process that connected, or of the one that called listen(2).
int baton_peer_credentials(int fd, baton_credentials *credentials);

// A pidfd of the other end: SO_PEERPIDFD, or pidfd_open(2) of `pid` on a kernel without it.
int baton_peer_pidfd(int fd, int32_t pid);

// 1 when the process of the pidfd has terminated, 0 when it runs.
int baton_has_terminated(int pidfd);

// Connects a new SOCK_SEQPACKET socket to `path`; waits at most `milliseconds` while the listener's backlog is full.
int baton_connect_seqpacket(const char *path, int milliseconds);

// Binds a new SOCK_SEQPACKET socket to `path` and listens.
int baton_listen_seqpacket(const char *path, int backlog);

// The next connection that waits; -EAGAIN if none does.
int baton_accept(int fd);

// Bytes in the socket's send queue that the peer has not acknowledged; of a Unix socket, a measure of what the peer has
// not read.
int baton_unacknowledged(int fd);

// How many bytes the kernel has taken from writers of this TCP socket since it was made (plus one on a socket that
// connected): bytes acknowledged and bytes queued, read until they stand still. Returns 0; -EAGAIN if they never do;
// -EOPNOTSUPP if this is no TCP socket.
int baton_write_position(int fd, uint64_t *position);

#endif
