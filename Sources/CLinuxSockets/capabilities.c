#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "capabilities.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static int get_capabilities(struct __user_cap_data_struct data[2]) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    return syscall(SYS_capget, &header, data) == 0 ? 0 : -errno;
}

int baton_keep_capabilities(const int *kept, int count) {
    uint64_t mask = 0;
    for (int index = 0; index < count; index++) {
        if (kept[index] < 0 || kept[index] > 63) return -EINVAL;
        mask |= UINT64_C(1) << kept[index];
    }
    for (int capability = 0; capability <= 63; capability++) {
        if (mask >> capability & 1) continue;
        // Beyond the last capability the kernel knows: EINVAL. Without CAP_SETPCAP: EPERM, and then there is no more in
        // this process than its own sets hold, which are cut below.
        if (prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0 && errno != EINVAL && errno != EPERM) return -errno;
        prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_LOWER, capability, 0, 0);
    }
    struct __user_cap_data_struct data[2];
    int result = get_capabilities(data);
    if (result != 0) return result;
    for (int half = 0; half < 2; half++) {
        uint32_t part = (uint32_t)(mask >> (32 * half));
        data[half].effective &= part;
        data[half].permitted &= part;
        data[half].inheritable &= part;
    }
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    return syscall(SYS_capset, &header, data) == 0 ? 0 : -errno;
}

int baton_has_capability(int capability) {
    struct __user_cap_data_struct data[2];
    if (capability < 0 || capability > 63 || get_capabilities(data) != 0) return 0;
    return data[capability / 32].effective >> (capability % 32) & 1;
}
