// Network namespaces of the calling thread: setns(2) and unshare(2), which Glibc's module leaves out.
#ifndef BATON_CNAMESPACES_H
#define BATON_CNAMESPACES_H

// Each returns 0, or -1 with errno set.
int lab_enter_namespace(const char *path);
int lab_new_namespace(void);

// TCP_MD5SIG: signs what goes to the IPv4 address with a key (RFC 2385).
int lab_sign_with_md5(int fd, const void *address);

#endif
