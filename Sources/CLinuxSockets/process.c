#define _GNU_SOURCE
#include "process.h"

#include <errno.h>
#include <grp.h>
#include <sys/prctl.h>
#include <unistd.h>

int baton_make_undumpable(void) { return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0 ? 0 : -errno; }

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
    // A change of user may have made the process dumpable again (proc(5), suid_dumpable).
    return baton_make_undumpable();
}
