#define _GNU_SOURCE
#include "include/arena.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "include/stream_position.h"

// tcpi_state, as <netinet/tcp.h> has it, which does not go together with <linux/tcp.h>.
enum {
    TCP_FIN_WAIT1 = 4,
    TCP_FIN_WAIT2 = 5,
    TCP_TIME_WAIT = 6,
    TCP_CLOSE = 7,
    TCP_CLOSE_WAIT = 8,
    TCP_LAST_ACK = 9,
    TCP_CLOSING = 11,
};

int arena_memory(uint64_t size) {
    int fd = memfd_create("baton-arena", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0) return -errno;
    if (ftruncate(fd, (off_t)size) != 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
        int code = errno;
        close(fd);
        return -code;
    }
    return fd;
}

static int counters(int fd, struct tcp_info *info) {
    socklen_t length = sizeof *info;
    memset(info, 0, sizeof *info);
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, info, &length) != 0) return -errno;
    return length > offsetof(struct tcp_info, tcpi_bytes_received) + 7 ? 0 : -EOPNOTSUPP;
}

static int has_fin(uint8_t state) {
    return state == TCP_CLOSE_WAIT || state == TCP_LAST_ACK || state == TCP_CLOSING || state == TCP_TIME_WAIT;
}

static int is_shut(uint8_t state) {
    return state == TCP_FIN_WAIT1 || state == TCP_FIN_WAIT2 || state == TCP_LAST_ACK || state == TCP_CLOSING ||
           state == TCP_TIME_WAIT;
}

int stream_position_of(int fd, struct stream_position *result) {
    struct tcp_info before, after;
    int failed = counters(fd, &before);
    if (failed) return failed;
    for (int attempt = 0; attempt < 1000; attempt++) {
        int unread = 0, unacknowledged = 0;
        if (ioctl(fd, SIOCINQ, &unread) != 0 || ioctl(fd, SIOCOUTQ, &unacknowledged) != 0) return -errno;
        if ((failed = counters(fd, &after)) != 0) return failed;
        if (before.tcpi_bytes_received == after.tcpi_bytes_received && before.tcpi_bytes_acked == after.tcpi_bytes_acked &&
            before.tcpi_state == after.tcpi_state) {
            result->has_fin = (uint8_t)has_fin(after.tcpi_state);
            result->is_shut = (uint8_t)is_shut(after.tcpi_state);
            result->is_closed = after.tcpi_state == TCP_CLOSE;
            struct pollfd polled = {.fd = fd};
            result->has_error = poll(&polled, 1, 0) == 1 && (polled.revents & POLLERR) != 0;
            result->read = after.tcpi_bytes_received - (uint32_t)unread - result->has_fin;
            result->written = after.tcpi_bytes_acked + (uint32_t)unacknowledged - result->is_shut;
            return 0;
        }
        before = after;
    }
    return -EAGAIN;
}

int stream_unacknowledged(int fd) {
    int count = 0;
    return ioctl(fd, SIOCOUTQ, &count) == 0 ? count : 0;
}

int stream_reset(int fd) {
    // Close would wait for the last descriptor. Dissolving the association does not (connect(2)).
    struct sockaddr nobody = {.sa_family = AF_UNSPEC};
    if (connect(fd, &nobody, sizeof nobody) == 0) return 0;
    // A Unix socket has no RST, and its association cannot be dissolved.
    return shutdown(fd, SHUT_RDWR) == 0 ? 0 : -errno;
}

int arena_lock(void *address, uint64_t size) { return mlock2(address, size, MLOCK_ONFAULT) == 0; }

void arena_discard(int descriptor, uint64_t start, uint64_t size) {
    // Not MADV_REMOVE, which locked memory refuses.
    fallocate(descriptor, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)start, (off_t)size);
}
