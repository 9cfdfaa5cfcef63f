#define _GNU_SOURCE
#include "process.h"
#include "signals.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

int baton_make_undumpable(void) {
    // No core either where a kernel writes one in spite of the other, and none of what is started.
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0 ? 0 : -errno;
}

void baton_fill_standard_descriptors(void) {
    int descriptor;
    do {
        descriptor = open("/dev/null", O_RDWR);
    } while (descriptor >= 0 && descriptor <= STDERR_FILENO);
    if (descriptor >= 0) close(descriptor);
}

int baton_become(uid_t user, gid_t group, const char *name) {
    // Groups first: they need the privilege that the user has not.
    int result = name != NULL ? initgroups(name, group) : setgroups(1, &group);
    if (result != 0 || setresgid(group, group, group) != 0 || setresuid(user, user, user) != 0) return -errno;
    uid_t users[3];
    gid_t groups[3];
    if (getresuid(&users[0], &users[1], &users[2]) != 0 || getresgid(&groups[0], &groups[1], &groups[2]) != 0) {
        return -errno;
    }
    for (int i = 0; i < 3; i++) {
        if (users[i] != user || groups[i] != group) return -EPERM;
    }
    if (user != 0 && (setuid(0) == 0 || seteuid(0) == 0)) return -EPERM;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return -errno;
    // A change of user may have made the process dumpable again (proc(5), suid_dumpable).
    return baton_make_undumpable();
}

int baton_execute(const char *path, char *const arguments[], const int *descriptors, int count) {
    int *copies = calloc((size_t)count + 1, sizeof(int));
    if (copies == NULL) return -errno;
    // Out of the way first: one may stand where another is to go.
    for (int i = 0; i < count; i++) {
        if ((copies[i] = fcntl(descriptors[i], F_DUPFD_CLOEXEC, 3 + count)) < 0) return -errno;
    }
    for (int i = 0; i < count; i++) {
        if (dup2(copies[i], 3 + i) < 0) return -errno;
    }
    // Whoever follows the signals here may be gone before it has followed one. A stop from here on ends the process by itself,
    // or, once no thread is left that takes it, waits for the new program.
    const int stops[] = {SIGTERM, SIGINT, SIGQUIT};
    for (size_t i = 0; i < sizeof stops / sizeof stops[0]; i++) signal(stops[i], SIG_DFL);
    // What is ignored would be so in the new program; what is caught would end it until it catches it anew.
    baton_signals_hold();
    signal(SIGPIPE, SIG_DFL);
    execv(path, arguments);
    execv("/proc/self/exe", arguments);
    return -errno;
}

static int describe(int result, const struct stat *from, baton_file_status *status) {
    if (result != 0) return -1;
    *status = (baton_file_status){
        .kind = from->st_mode & S_IFMT,
        .device = from->st_dev,
        .file = from->st_ino,
        .links = from->st_nlink,
        .size = from->st_size,
        .modified = from->st_mtim.tv_sec * 1000000000LL + from->st_mtim.tv_nsec,
        .changed = from->st_ctim.tv_sec * 1000000000LL + from->st_ctim.tv_nsec,
        .mode = from->st_mode & 07777,
    };
    return 0;
}

int baton_file_at(const char *path, int follows, baton_file_status *status) {
    struct stat found;
    return describe(follows ? stat(path, &found) : lstat(path, &found), &found, status);
}

int baton_file_of(int descriptor, baton_file_status *status) {
    struct stat found;
    return describe(fstat(descriptor, &found), &found, status);
}

void baton_name_process(const char *name) { prctl(PR_SET_NAME, name, 0, 0, 0); }

int baton_memory_file(const char *name, const void *bytes, size_t count) {
    int file = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (file < 0) return -errno;
    for (size_t written = 0; written < count;) {
        ssize_t result = write(file, (const char *)bytes + written, count - written);
        if (result < 0 && errno == EINTR) continue;
        if (result <= 0) {
            int code = result < 0 ? errno : ENOSPC;
            close(file);
            return -code;
        }
        written += (size_t)result;
    }
    return file;
}
