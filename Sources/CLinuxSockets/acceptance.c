#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "acceptance.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

int baton_accept_from(int fd, void *peer, size_t size) {
    socklen_t length = (socklen_t)size;
    int accepted = accept4(fd, peer, &length, SOCK_CLOEXEC | SOCK_NONBLOCK);
    return accepted >= 0 ? accepted : -errno;
}

int baton_watch_open(void) {
    int watch = epoll_create1(EPOLL_CLOEXEC);
    return watch >= 0 ? watch : -errno;
}

int baton_watch_add(int watch, int fd) {
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    return epoll_ctl(watch, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : -errno;
}

int baton_watch_hold(int watch, int fd) {
    // A socket that does not listen yet has hung up, which is reported whether asked for or not.
    struct epoll_event event = {.events = EPOLLONESHOT, .data.fd = fd};
    return epoll_ctl(watch, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : -errno;
}

int baton_watch_begin(int watch, int fd) {
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    return epoll_ctl(watch, EPOLL_CTL_MOD, fd, &event) == 0 ? 0 : -errno;
}

int baton_watch_remove(int watch, int fd) {
    struct epoll_event event = {0};
    return epoll_ctl(watch, EPOLL_CTL_DEL, fd, &event) == 0 ? 0 : -errno;
}

int baton_watch_ready(int watch, int *ready, int most) {
    struct epoll_event events[64];
    int count = epoll_wait(watch, events, most < 64 ? most : 64, 0);
    if (count < 0) return errno == EINTR ? 0 : -errno;
    for (int index = 0; index < count; index++) ready[index] = events[index].data.fd;
    return count;
}

int baton_wake_open(void) {
    int wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return wake >= 0 ? wake : -errno;
}
