#define _GNU_SOURCE
#include "include/rival.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <spawn.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MOST_DESCRIPTORS = 253 };

typedef union {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(MOST_DESCRIPTORS * sizeof(int))];
} control_buffer;

int rival_round_trip(int socket, const int *descriptors, int count) {
    char byte = 1;
    struct iovec part = {&byte, 1};
    control_buffer control;
    if (count < 1 || count > MOST_DESCRIPTORS) return -EINVAL;
    size_t size = (size_t)count * sizeof(int);
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = CMSG_SPACE(size)};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(size);
    memcpy(CMSG_DATA(header), descriptors, size);
    if (sendmsg(socket, &message, MSG_NOSIGNAL) != 1) return -errno;
    if (recv(socket, &byte, 1, 0) != 1) return -EPIPE;
    for (int index = 0; index < count; index++) close(descriptors[index]);
    return 0;
}

static void *answer(void *argument) {
    int socket = (int)(intptr_t)argument;
    control_buffer control;
    for (;;) {
        char byte;
        struct iovec part = {&byte, 1};
        struct msghdr message = {
            .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
        if (recvmsg(socket, &message, MSG_CMSG_CLOEXEC) != 1) return NULL;
        if (send(socket, &byte, 1, MSG_NOSIGNAL) != 1) return NULL;
        for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
            if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
            for (size_t at = 0; at + sizeof(int) <= header->cmsg_len - CMSG_LEN(0); at += sizeof(int)) {
                int descriptor;
                memcpy(&descriptor, CMSG_DATA(header) + at, sizeof descriptor);
                close(descriptor);
            }
        }
    }
}

int rival_answer_round_trips(int socket) {
    pthread_t thread;
    int error = pthread_create(&thread, NULL, answer, (void *)(intptr_t)socket);
    return error ? -error : pthread_detach(thread);
}

int rival_spawn(const char *program, char *const arguments[], int first, int second) {
    extern char **environ;
    posix_spawn_file_actions_t actions;
    pid_t pid;
    // Out of the way of 3 and 4 first: dup2 to itself would leave close-on-exec set.
    int high_first = fcntl(first, F_DUPFD_CLOEXEC, 10), high_second = fcntl(second, F_DUPFD_CLOEXEC, 10);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, high_first, 3);
    posix_spawn_file_actions_adddup2(&actions, high_second, 4);
    int error = posix_spawn(&pid, program, &actions, NULL, arguments, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(high_first);
    close(high_second);
    return error ? -error : pid;
}
