#define _GNU_SOURCE
#include "include/handoff.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

typedef union {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(BATON_DESCRIPTORS_PER_MESSAGE * sizeof(int)) + CMSG_SPACE(sizeof(struct ucred))];
} control_buffer;

int baton_send_message(int fd, const void *head, size_t head_count, const void *body, size_t body_count,
                       const int *descriptors, int descriptor_count) {
    struct iovec parts[2] = {{(void *)head, head_count}, {(void *)body, body_count}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = body_count > 0 ? 2 : 1};
    control_buffer control;
    if (descriptor_count < 0 || descriptor_count > BATON_DESCRIPTORS_PER_MESSAGE) return -EINVAL;
    if (descriptor_count > 0) {
        size_t size = (size_t)descriptor_count * sizeof(int);
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(size);
        memset(control.bytes, 0, message.msg_controllen);
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(size);
        memcpy(CMSG_DATA(header), descriptors, size);
    }
    ssize_t sent;
    do sent = sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent < 0) return -errno;
    // SOCK_SEQPACKET takes a message whole or not at all.
    return (size_t)sent == head_count + body_count ? 0 : -EMSGSIZE;
}

ssize_t baton_receive_message(int fd, int waits, void *bytes, size_t count, int *descriptors,
                              baton_message *result) {
    struct iovec part = {bytes, count};
    control_buffer control;
    struct msghdr message;
    ssize_t received;
    int resets = 0;
    *result = (baton_message){0, 0, 0, 0};
    do {
        message = (struct msghdr){.msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes,
                                  .msg_controllen = sizeof control.bytes};
        received = recvmsg(fd, &message, (waits ? 0 : MSG_DONTWAIT) | MSG_CMSG_CLOEXEC);
    } while (received < 0 && (errno == EINTR || (errno == ECONNRESET && resets++ < 4)));
    if (received < 0) return -errno;
    result->truncated = (message.msg_flags & MSG_TRUNC) != 0;
    result->lost_descriptors = (message.msg_flags & MSG_CTRUNC) != 0;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_len < CMSG_LEN(0)) continue;
        size_t size = header->cmsg_len - CMSG_LEN(0);
        if (header->cmsg_type == SCM_RIGHTS) {
            for (size_t at = 0; at + sizeof(int) <= size; at += sizeof(int)) {
                int descriptor;
                memcpy(&descriptor, CMSG_DATA(header) + at, sizeof descriptor);
                if (result->descriptor_count < BATON_DESCRIPTORS_PER_MESSAGE) {
                    descriptors[result->descriptor_count++] = descriptor;
                } else {
                    close(descriptor);
                    result->lost_descriptors = 1;
                }
            }
        } else if (header->cmsg_type == SCM_CREDENTIALS && size >= sizeof(struct ucred)) {
            struct ucred credentials;
            memcpy(&credentials, CMSG_DATA(header), sizeof credentials);
            result->sender = credentials.pid;
        }
    }
    return received;
}

int baton_limit_waiting(int fd, int milliseconds) {
    struct timeval limit = {milliseconds / 1000, milliseconds % 1000 * 1000};
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0) return -errno;
    if (flags & O_NONBLOCK) return -EOPNOTSUPP;
    return setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0 ? 0 : -errno;
}

int baton_attest_senders(int fd) {
    int on = 1;
    return setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof on) == 0 ? 0 : -errno;
}

int baton_raise_send_buffer(int fd) {
    int size = 0;
    socklen_t length = sizeof size;
    if (getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, &length) != 0) return -errno;
    // The kernel doubles what is set, so setting what was read doubles the buffer.
    if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size) == 0) return 0;
    return setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size) == 0 ? 0 : -errno;
}

int baton_peer_credentials(int fd, baton_credentials *credentials) {
    struct ucred peer;
    socklen_t length = sizeof peer;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) return -errno;
    *credentials = (baton_credentials){peer.pid, peer.uid, peer.gid};
    return 0;
}

int baton_peer_pidfd(int fd, int32_t pid) {
    int pidfd = -1;
    socklen_t length = sizeof pidfd;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &length) == 0 && pidfd >= 0) return pidfd;
    if (pid <= 0) return -ESRCH;
    pidfd = (int)syscall(SYS_pidfd_open, pid, 0u);  // close-on-exec by itself
    return pidfd >= 0 ? pidfd : -errno;
}

int baton_has_terminated(int pidfd) {
    struct pollfd wait = {.fd = pidfd, .events = POLLIN};
    int ready;
    do ready = poll(&wait, 1, 0);
    while (ready < 0 && errno == EINTR);
    return ready == 1 && (wait.revents & POLLIN) != 0;
}

static int seqpacket(const char *path, struct sockaddr_un *address) {
    size_t length = strlen(path);
    memset(address, 0, sizeof *address);
    address->sun_family = AF_UNIX;
    if (length == 0 || length >= sizeof address->sun_path) return -ENAMETOOLONG;
    memcpy(address->sun_path, path, length);
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    return fd >= 0 ? fd : -errno;
}

int baton_connect_seqpacket(const char *path, int milliseconds) {
    struct sockaddr_un address;
    int fd = seqpacket(path, &address);
    if (fd < 0) return fd;
    // connect(2) on a Unix socket waits for the backlog, at most as long as a send would.
    struct timeval limit = {milliseconds / 1000, milliseconds % 1000 * 1000 + 1};
    int failed = setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    if (!failed) {
        do failed = connect(fd, (struct sockaddr *)&address, sizeof address);
        while (failed && errno == EINTR);
    }
    if (failed) {
        int error = errno;
        close(fd);
        return -error;
    }
    return fd;
}

int baton_listen_seqpacket(const char *path, int backlog) {
    struct sockaddr_un address;
    int fd = seqpacket(path, &address);
    if (fd < 0) return fd;
    if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, backlog) != 0 ||
        fcntl(fd, F_SETFL, O_NONBLOCK) != 0) {
        int error = errno;
        close(fd);
        return -error;
    }
    return fd;
}

int baton_accept(int fd) {
    int accepted;
    do accepted = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
    while (accepted < 0 && (errno == EINTR || errno == ECONNABORTED));
    return accepted >= 0 ? accepted : -errno;
}

static int acknowledged(int fd, uint64_t *bytes) {
    struct tcp_info info;
    socklen_t length = sizeof info;
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) != 0) return -EOPNOTSUPP;
    if (length < offsetof(struct tcp_info, tcpi_bytes_acked) + sizeof info.tcpi_bytes_acked) return -EOPNOTSUPP;
    *bytes = info.tcpi_bytes_acked;
    return 0;
}

int baton_unacknowledged(int fd) {
    int queued;
    return ioctl(fd, SIOCOUTQ, &queued) == 0 ? queued : -errno;
}

int baton_write_position(int fd, uint64_t *position) {
    uint64_t before, after;
    int queued, failed = acknowledged(fd, &before);
    if (failed) return failed;
    for (int attempt = 0; attempt < 1000; attempt++) {
        if (ioctl(fd, SIOCOUTQ, &queued) != 0) return -errno;
        failed = acknowledged(fd, &after);
        if (failed) return failed;
        if (before == after) {
            *position = after + (uint64_t)(uint32_t)queued;
            return 0;
        }
        before = after;
    }
    return -EAGAIN;
}
