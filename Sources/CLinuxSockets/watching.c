#include "watching.h"

#include <errno.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

int baton_inotify_open(void) {
    int descriptor = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    return descriptor < 0 ? -errno : descriptor;
}

int baton_inotify_add(int descriptor, const char *path) {
    // Not IN_MODIFY: a file that is being written is of no use yet.
    int watch = inotify_add_watch(descriptor, path,
                                  IN_ATTRIB | IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO |
                                      IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR);
    return watch < 0 ? -errno : watch;
}

void baton_inotify_remove(int descriptor, int watch) { inotify_rm_watch(descriptor, watch); }

long baton_inotify_read(int descriptor, void *buffer, size_t capacity) {
    ssize_t count;
    do count = read(descriptor, buffer, capacity);
    while (count < 0 && errno == EINTR);
    if (count >= 0) return count;
    return errno == EAGAIN ? 0 : -errno;
}

int baton_inotify_next(const void *buffer, size_t count, size_t *offset, baton_inotify_event *event) {
    struct inotify_event found;
    if (*offset > count || count - *offset < sizeof found) return 0;
    const char *start = (const char *)buffer + *offset;
    memcpy(&found, start, sizeof found);
    if (found.len > count - *offset - sizeof found) return 0;
    *offset += sizeof found + found.len;
    event->watch = found.wd;
    // The kernel pads names with at least one zero.
    event->name = found.len > 0 ? start + sizeof found : "";
    event->kind = found.mask & IN_Q_OVERFLOW                                   ? BATON_INOTIFY_OVERFLOW
                  : found.mask & IN_IGNORED                                    ? BATON_INOTIFY_ENDED
                  : found.mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT) ? BATON_INOTIFY_FOLDER
                                                                               : BATON_INOTIFY_ENTRY;
    return 1;
}

void baton_wake(int descriptor) {
    uint64_t one = 1;
    while (write(descriptor, &one, sizeof one) < 0 && errno == EINTR) {}
}

void baton_rest(int descriptor) {
    uint64_t all;
    while (read(descriptor, &all, sizeof all) < 0 && errno == EINTR) {}
}
