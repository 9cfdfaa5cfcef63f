#define _GNU_SOURCE
#include "nftables_batch.h"

#include <errno.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <unistd.h>

int baton_nftables_socket(void) {
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
    if (fd < 0) return -errno;
    // A batch is one message, and one that fails is answered once for each element.
    int size = 1 << 24, on = 1;
    setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
    // Without the request in the answer an error is a few bytes.
    setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on);
    return fd;
}

int baton_nftables_commit(int fd, const void *batch, size_t count) {
    if (send(fd, batch, count, 0) < 0) return -errno;
    // The kernel has worked off the batch, and queued its answers, when send returns.
    _Alignas(struct nlmsghdr) unsigned char buffer[16384];
    int result = 0;
    for (;;) {
        ssize_t length = recv(fd, buffer, sizeof buffer, MSG_DONTWAIT);
        if (length < 0 && errno == EINTR) continue;
        if (length < 0) return result != 0 ? result : errno == EAGAIN ? 0 : -errno;
        size_t rest = (size_t)length;
        for (struct nlmsghdr *header = (struct nlmsghdr *)buffer; NLMSG_OK(header, rest);
             header = NLMSG_NEXT(header, rest)) {
            if (header->nlmsg_type != NLMSG_ERROR || header->nlmsg_len < NLMSG_LENGTH(sizeof(struct nlmsgerr))) continue;
            const struct nlmsgerr *error = NLMSG_DATA(header);
            if (result == 0) result = error->error;
        }
    }
}
