// A netlink socket that takes nf_tables batches. Failure is a negative errno value.
#ifndef BATON_CLINUXSOCKETS_NFTABLES_BATCH_H
#define BATON_CLINUXSOCKETS_NFTABLES_BATCH_H

#include <stddef.h>
#include <stdint.h>

int baton_nftables_socket(void);

// Sends one batch, from BATCH_BEGIN to BATCH_END, and returns 0 or the first error; the kernel has undone all of it
// then.
int baton_nftables_commit(int fd, const void *batch, size_t count);

#endif
