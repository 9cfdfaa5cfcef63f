// A server at a Unix socket, of which there is one: it tells everybody who connects which process it is. While it lives a second one
// is refused, and what one that was killed has left behind is taken over. See Examples/OneServer/README.md.
//
//     oneserver PATH
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <poll.h>
#include <unistd.h>

static void die(const char *what, const char *path, const char *why) {
    fprintf(stderr, "oneserver: %s %s%s%s\n", what, path, why ? ": " : "; stop it or choose another path", why ? why : "");
    exit(1);
}

static void in_use(const char *path) { die("another process listens at", path, NULL); }

// Takes the lock that goes with this process, or ends the program.
static int take_lock(const char *name, const char *path) {
    for (int attempt = 0; attempt < 100; attempt++) {
        int lock = open(name, O_CREAT | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0600);
        struct stat held, there;
        if (lock < 0) die("cannot open the lock file", name, strerror(errno));
        if (fstat(lock, &held) != 0 || !S_ISREG(held.st_mode) || held.st_size != 0) {
            die("cannot use the lock file", name, "it is a file that is no lock");
        }
        if (flock(lock, LOCK_EX | LOCK_NB) != 0) {
            if (errno == EWOULDBLOCK) in_use(path);
            die("cannot lock", name, strerror(errno));
        }
        // Whoever held it may have removed the file in this moment, and another may lie there by now.
        if (stat(name, &there) == 0 && held.st_dev == there.st_dev && held.st_ino == there.st_ino) return lock;
        close(lock);
    }
    in_use(path);
    return -1;
}

// Removes the socket of a process that is gone. The caller holds the lock.
static void remove_stale(const struct sockaddr_un *address) {
    struct stat status;
    if (lstat(address->sun_path, &status) != 0) return;
    if (!S_ISSOCK(status.st_mode)) die("cannot listen at", address->sun_path, "it is a file that is no socket");
    int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    // Only this refusal proves that nobody is there: a full queue and a socket of another kind have somebody.
    if (connect(probe, (const struct sockaddr *)address, sizeof *address) == 0 || errno != ECONNREFUSED) {
        in_use(address->sun_path);
    }
    close(probe);
    unlink(address->sun_path);
}

int main(int count, char **arguments) {
    if (count != 2) {
        fprintf(stderr, "usage: %s PATH\n", arguments[0]);
        return 2;
    }
    const char *path = arguments[1];
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) die("cannot listen at", path, "a path has at most 107 bytes");
    strcpy(address.sun_path, path);
    char lock_name[sizeof address.sun_path + 5];
    snprintf(lock_name, sizeof lock_name, "%s.lock", path);

    // The order matters: first the right to the path, then what a dead process has left there, then the socket.
    int lock = take_lock(lock_name, path);
    remove_stale(&address);
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 128) != 0) {
        die("cannot listen at", path, strerror(errno));
    }

    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);
    struct pollfd watched[2] = {
        {.fd = listener, .events = POLLIN}, {.fd = signalfd(-1, &signals, SFD_CLOEXEC), .events = POLLIN}};
    printf("process %d serves %s\n", getpid(), path);
    fflush(stdout);
    while (watched[1].revents == 0) {
        if (poll(watched, 2, -1) < 0 && errno != EINTR) die("cannot wait at", path, strerror(errno));
        int client = watched[0].revents ? accept4(listener, NULL, NULL, SOCK_CLOEXEC) : -1;
        if (client >= 0) {
            dprintf(client, "process %d\n", getpid());
            close(client);
        }
    }
    // Nobody else can have taken the path: the lock is still held.
    unlink(path);
    unlink(lock_name);
    close(lock);
    return 0;
}
