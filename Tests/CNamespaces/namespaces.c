#define _GNU_SOURCE
#include "CNamespaces.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int lab_enter_namespace(const char *path) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return -1;
    int result = setns(fd, CLONE_NEWNET);
    int error = errno;
    close(fd);
    errno = error;
    return result;
}

int lab_new_namespace(void) { return unshare(CLONE_NEWNET); }

int lab_sign_with_md5(int fd, const void *address) {
    struct tcp_md5sig signature = {.tcpm_keylen = 3, .tcpm_key = "key"};
    struct sockaddr_in peer = {.sin_family = AF_INET};
    memcpy(&peer.sin_addr, address, 4);
    memcpy(&signature.tcpm_addr, &peer, sizeof peer);
    return setsockopt(fd, IPPROTO_TCP, TCP_MD5SIG, &signature, sizeof signature);
}
