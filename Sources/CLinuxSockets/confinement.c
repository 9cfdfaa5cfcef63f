#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "confinement.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

int baton_thread_count(void) {
    DIR *tasks = opendir("/proc/self/task");
    if (tasks == NULL) return -1;
    int count = 0;
    for (struct dirent *entry; (entry = readdir(tasks)) != NULL;) count += entry->d_name[0] != '.';
    closedir(tasks);
    return count;
}

int baton_no_new_privileges(void) { return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 ? 0 : -errno; }

// The numbers are the same on every machine; not every header has them.
#ifndef __NR_landlock_create_ruleset
#define __NR_landlock_create_ruleset 444
#define __NR_landlock_add_rule 445
#define __NR_landlock_restrict_self 446
#endif
// From the third and the fifth version on.
#ifndef LANDLOCK_ACCESS_FS_TRUNCATE
#define LANDLOCK_ACCESS_FS_TRUNCATE (1ULL << 14)
#endif
#ifndef LANDLOCK_ACCESS_FS_IOCTL_DEV
#define LANDLOCK_ACCESS_FS_IOCTL_DEV (1ULL << 15)
#endif

static int allow_below(int ruleset, const char *path, uint64_t access) {
    int parent = open(path, O_PATH | O_CLOEXEC);
    if (parent < 0) return errno == ENOENT ? 0 : -errno;
    struct landlock_path_beneath_attr rule = {.allowed_access = access, .parent_fd = parent};
    int result = (int)syscall(__NR_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0u);
    int code = result == 0 ? 0 : -errno;
    close(parent);
    return code;
}

int baton_restrict_files(const char *const *directories, int count) {
    long version = syscall(__NR_landlock_create_ruleset, NULL, 0ul, LANDLOCK_CREATE_RULESET_VERSION);
    if (version < 0) return -errno;
    uint64_t all = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |
                   LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR |
                   LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |
                   LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM;
    uint64_t own = LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |
                   LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SOCK;
    uint64_t null_device = LANDLOCK_ACCESS_FS_WRITE_FILE;
    if (version >= 3) {
        all |= LANDLOCK_ACCESS_FS_TRUNCATE;
        own |= LANDLOCK_ACCESS_FS_TRUNCATE;
        null_device |= LANDLOCK_ACCESS_FS_TRUNCATE;
    }
    if (version >= 5) all |= LANDLOCK_ACCESS_FS_IOCTL_DEV;
    struct landlock_ruleset_attr handled = {.handled_access_fs = all};
    int ruleset = (int)syscall(__NR_landlock_create_ruleset, &handled, sizeof handled, 0u);
    if (ruleset < 0) return -errno;
    int result = allow_below(ruleset, "/dev/null", null_device);
    for (int i = 0; i < count && result == 0; i++) result = allow_below(ruleset, directories[i], own);
    if (result == 0 && syscall(__NR_landlock_restrict_self, ruleset, 0u) != 0) result = -errno;
    close(ruleset);
    return result;
}

#if defined(__x86_64__)
#define MACHINE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define MACHINE AUDIT_ARCH_AARCH64
#endif

#ifdef MACHINE
// What a server that speaks with strangers has no use for, and what whoever has taken it over would want next.
static const int forbidden[] = {
    // Other programs.
    SYS_execve, SYS_execveat,
    // Other processes, and their memory and descriptors.
    SYS_ptrace, SYS_process_vm_readv, SYS_process_vm_writev, SYS_kcmp,
    // Namespaces, mounts and roots.
    SYS_unshare, SYS_setns, SYS_mount, SYS_umount2, SYS_pivot_root, SYS_chroot,
    // The kernel and the machine.
    SYS_init_module, SYS_finit_module, SYS_delete_module, SYS_kexec_load, SYS_reboot, SYS_swapon, SYS_swapoff, SYS_bpf,
    SYS_perf_event_open, SYS_acct, SYS_quotactl, SYS_syslog, SYS_settimeofday, SYS_clock_settime, SYS_adjtimex,
    SYS_clock_adjtime, SYS_sethostname, SYS_setdomainname, SYS_vhangup,
    // Keys of the kernel's, files by handles, and what has mostly been of use to exploits.
    SYS_keyctl, SYS_add_key, SYS_request_key, SYS_name_to_handle_at, SYS_open_by_handle_at, SYS_userfaultfd,
    SYS_personality,
#ifdef SYS_fork
    SYS_fork, SYS_vfork,
#endif
#ifdef SYS_kexec_file_load
    SYS_kexec_file_load,
#endif
#ifdef SYS_iopl
    SYS_iopl, SYS_ioperm, SYS_modify_ldt,
#endif
    // The same numbers on every machine: pidfd_getfd, process_madvise, open_tree to fspick, mount_setattr, io_uring.
    438, 440, 428, 429, 430, 431, 432, 433, 442, 425, 426, 427,
};

enum { FORBIDDEN = sizeof forbidden / sizeof forbidden[0] };

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offsetof(struct seccomp_data, field))
#define ANSWER(action) BPF_STMT(BPF_RET | BPF_K, (action))
#define REFUSE(code) ANSWER(SECCOMP_RET_ERRNO | ((code) & SECCOMP_RET_DATA))
#define WHEN(value, yes, no) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (value), (yes), (no))

int baton_restrict_calls(void) {
    struct sock_filter filter[FORBIDDEN * 2 + 64];
    unsigned short n = 0;
    filter[n++] = (struct sock_filter)LOAD(arch);
    filter[n++] = (struct sock_filter)WHEN(MACHINE, 1, 0);
    filter[n++] = (struct sock_filter)ANSWER(SECCOMP_RET_KILL_PROCESS);
    filter[n++] = (struct sock_filter)LOAD(nr);
#ifdef __x86_64__
    // The calls of x32, under other numbers.
    filter[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 0, 1);
    filter[n++] = (struct sock_filter)REFUSE(ENOSYS);
#endif
    // What a relay does all the time comes first, for kernels that do not remember what is always allowed (before 5.11).
    static const int frequent[] = {SYS_read, SYS_write, SYS_readv, SYS_writev, SYS_recvmsg, SYS_sendmsg, SYS_recvfrom,
                                   SYS_sendto, SYS_epoll_pwait, SYS_futex};
    for (size_t i = 0; i < sizeof frequent / sizeof frequent[0]; i++) {
        filter[n++] = (struct sock_filter)WHEN((uint32_t)frequent[i], 0, 1);
        filter[n++] = (struct sock_filter)ANSWER(SECCOMP_RET_ALLOW);
    }
    for (int i = 0; i < FORBIDDEN; i++) {
        // Jumps are short: each has its answer beside it.
        filter[n++] = (struct sock_filter)WHEN((uint32_t)forbidden[i], 0, 1);
        filter[n++] = (struct sock_filter)REFUSE(EPERM);
    }
    // What clone3 is asked for lies in memory, where a filter cannot look; the C library turns to clone.
    filter[n++] = (struct sock_filter)WHEN(435, 0, 1);
    filter[n++] = (struct sock_filter)REFUSE(ENOSYS);
    // Threads, and no processes.
    filter[n++] = (struct sock_filter)WHEN(SYS_clone, 0, 4);
    filter[n++] = (struct sock_filter)LOAD(args[0]);
    filter[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, CLONE_THREAD, 1, 0);
    filter[n++] = (struct sock_filter)REFUSE(EPERM);
    filter[n++] = (struct sock_filter)ANSWER(SECCOMP_RET_ALLOW);
    // Sockets of the kinds that are served, and those by which the resolver asks for interfaces.
    filter[n++] = (struct sock_filter)WHEN(SYS_socket, 0, 6);
    filter[n++] = (struct sock_filter)LOAD(args[0]);
    filter[n++] = (struct sock_filter)WHEN(AF_UNIX, 4, 0);
    filter[n++] = (struct sock_filter)WHEN(AF_INET, 3, 0);
    filter[n++] = (struct sock_filter)WHEN(AF_INET6, 2, 0);
    filter[n++] = (struct sock_filter)WHEN(AF_NETLINK, 1, 0);
    filter[n++] = (struct sock_filter)REFUSE(EAFNOSUPPORT);
    filter[n++] = (struct sock_filter)ANSWER(SECCOMP_RET_ALLOW);
    struct sock_fprog program = {.len = n, .filter = filter};
    long result = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program);
    // A thread that could not follow is told by its number.
    return result == 0 ? 0 : result > 0 ? -ESRCH : -errno;
}
#else
int baton_restrict_calls(void) { return -EOPNOTSUPP; }
#endif

int baton_try_trace(void) { return ptrace(PTRACE_ATTACH, getppid(), NULL, NULL) == 0 ? 0 : errno; }

long long baton_memory_lock_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_MEMLOCK, &limit) != 0) return 0;
    return limit.rlim_cur == RLIM_INFINITY ? -1 : (long long)limit.rlim_cur;
}
