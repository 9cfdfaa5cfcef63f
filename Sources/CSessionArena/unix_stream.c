#define _GNU_SOURCE
#include "include/unix_stream.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

_Static_assert(sizeof(struct mmsghdr) == sizeof ((struct arena_sending *)0)->message + 8, "mmsghdr");
_Static_assert(offsetof(struct mmsghdr, msg_len) == sizeof ((struct arena_sending *)0)->message, "mmsghdr");

static const uint32_t CYCLE = UINT32_C(1) << 30;

static int option(int fd, int name, int *value) {
    socklen_t length = sizeof *value;
    return getsockopt(fd, SOL_SOCKET, name, value, &length) == 0 ? 0 : -errno;
}

int unix_stream_check(int fd) {
    int value = 0;
    int failed = option(fd, SO_DOMAIN, &value);
    if (failed) return failed;
    if (value != AF_UNIX) return -EAFNOSUPPORT;
    if ((failed = option(fd, SO_TYPE, &value)) != 0) return failed;
    if (value != SOCK_STREAM) return -EPROTOTYPE;
    return option(fd, SO_PEEK_OFF, &value);
}

int unix_stream_count(int fd, uint64_t position) {
    int value = (int)(CYCLE + ((0 - (uint32_t)position) & (CYCLE - 1)));
    return setsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &value, sizeof value) == 0 ? 0 : -errno;
}

int unix_stream_position(int fd, uint64_t least, uint64_t *position) {
    int value = 0;
    int failed = option(fd, SO_PEEK_OFF, &value);
    if (failed) return failed;
    // At 0 it would stand still.
    if (value <= 0) return -ERANGE;
    *position = least + ((0 - (uint32_t)value - (uint32_t)least) & (CYCLE - 1));
    return 0;
}

void unix_stream_release(int fd) {
    int value = -1;
    setsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &value, sizeof value);
}

int64_t unix_stream_send(int fd, struct arena_header *header, const void *bytes) {
    struct arena_sending *sending = &header->sending;
    struct iovec part = {.iov_base = (void *)bytes, .iov_len = sending->asked};
    struct msghdr *message = (struct msghdr *)sending->message;
    *message = (struct msghdr){.msg_iov = &part, .msg_iovlen = 1};
    // The C library's sendmmsg(2) may be a loop around sendmsg(2).
    if (syscall(SYS_sendmmsg, fd, message, 1, MSG_DONTWAIT | MSG_NOSIGNAL) != 1) return -errno;
    return __atomic_load_n(&sending->sent, __ATOMIC_RELAXED);
}
