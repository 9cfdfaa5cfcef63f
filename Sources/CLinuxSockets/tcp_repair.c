#define _GNU_SOURCE
#include "tcp_repair.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/membarrier.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

// The wire numbers of TCP options (RFC 9293 3.2, RFC 7323), which TCP_REPAIR_OPTIONS uses as codes.
enum { OPTION_MSS = 2, OPTION_WINDOW_SCALE = 3, OPTION_SACK_PERMITTED = 4, OPTION_TIMESTAMPS = 8 };

// Newer than the headers this may be built with.
enum { AO_INFO = 40 };

static int set(int fd, int name, const void *value, socklen_t size) {
    return setsockopt(fd, IPPROTO_TCP, name, value, size) == 0 ? 0 : -errno;
}

static int get(int fd, int name, void *value, socklen_t size) {
    socklen_t got = size;
    if (getsockopt(fd, IPPROTO_TCP, name, value, &got) != 0) return -errno;
    return got == size ? 0 : -EPROTO;
}

int baton_tcp_get_info(int fd, baton_tcp_info *info) {
    struct tcp_info raw;
    memset(&raw, 0, sizeof raw);
    socklen_t size = sizeof raw;
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &raw, &size) != 0) return -errno;
    if (size < offsetof(struct tcp_info, tcpi_notsent_bytes)) return -EOPNOTSUPP;
    *info = (baton_tcp_info){
        .state = raw.tcpi_state,
        .options = raw.tcpi_options,
        .send_scale = raw.tcpi_snd_wscale,
        .receive_scale = raw.tcpi_rcv_wscale,
        .segments_in = raw.tcpi_segs_in,
        .bytes_acknowledged = raw.tcpi_bytes_acked,
        .bytes_received = raw.tcpi_bytes_received,
    };
    return 0;
}

int baton_tcp_get_queues(int fd, baton_tcp_queues *queues) {
    if (ioctl(fd, SIOCINQ, &queues->unread) != 0) return -errno;
    if (ioctl(fd, SIOCOUTQ, &queues->unacknowledged) != 0) return -errno;
    if (ioctl(fd, SIOCOUTQNSD, &queues->unsent) != 0) return -errno;
    return 0;
}

int baton_tcp_set_repair(int fd, int mode) { return set(fd, TCP_REPAIR, &mode, sizeof mode); }
int baton_tcp_select_queue(int fd, int queue) { return set(fd, TCP_REPAIR_QUEUE, &queue, sizeof queue); }
int baton_tcp_get_sequence(int fd, uint32_t *value) { return get(fd, TCP_QUEUE_SEQ, value, sizeof *value); }
int baton_tcp_set_sequence(int fd, uint32_t value) { return set(fd, TCP_QUEUE_SEQ, &value, sizeof value); }
int baton_tcp_get_timestamp(int fd, uint32_t *value) { return get(fd, TCP_TIMESTAMP, value, sizeof *value); }
int baton_tcp_set_timestamp(int fd, uint32_t value) { return set(fd, TCP_TIMESTAMP, &value, sizeof value); }

int baton_tcp_get_window(int fd, baton_tcp_window *window) {
    struct tcp_repair_window raw;
    int result = get(fd, TCP_REPAIR_WINDOW, &raw, sizeof raw);
    if (result != 0) return result;
    *window = (baton_tcp_window){
        .last_update = raw.snd_wl1,
        .send_window = raw.snd_wnd,
        .largest_window = raw.max_window,
        .receive_window = raw.rcv_wnd,
        .last_advertised = raw.rcv_wup,
    };
    return 0;
}

int baton_tcp_set_window(int fd, const baton_tcp_window *window) {
    struct tcp_repair_window raw = {
        .snd_wl1 = window->last_update,
        .snd_wnd = window->send_window,
        .max_window = window->largest_window,
        .rcv_wnd = window->receive_window,
        .rcv_wup = window->last_advertised,
    };
    return set(fd, TCP_REPAIR_WINDOW, &raw, sizeof raw);
}

int baton_tcp_set_negotiated(int fd, uint16_t mss, int sack, int timestamps, uint8_t send_scale,
                             uint8_t receive_scale) {
    struct tcp_repair_opt options[4];
    int count = 0;
    if (timestamps) options[count++] = (struct tcp_repair_opt){.opt_code = OPTION_TIMESTAMPS};
    if (sack) options[count++] = (struct tcp_repair_opt){.opt_code = OPTION_SACK_PERMITTED};
    options[count++] = (struct tcp_repair_opt){
        .opt_code = OPTION_WINDOW_SCALE,
        .opt_val = (uint32_t)send_scale | (uint32_t)receive_scale << 16,
    };
    options[count++] = (struct tcp_repair_opt){.opt_code = OPTION_MSS, .opt_val = mss};
    return set(fd, TCP_REPAIR_OPTIONS, options, (socklen_t)(sizeof options[0] * (size_t)count));
}

int baton_tcp_has_ao(int fd) {
    unsigned char info[128] = {0};
    socklen_t size = sizeof info;
    return getsockopt(fd, IPPROTO_TCP, AO_INFO, info, &size) == 0;
}

static int read_diagnosis(const unsigned char *buffer, size_t length, baton_tcp_diagnosis *diagnosis) {
    for (const struct nlmsghdr *header = (const struct nlmsghdr *)buffer; NLMSG_OK(header, length);
         header = NLMSG_NEXT(header, length)) {
        if (header->nlmsg_type == NLMSG_ERROR) {
            const struct nlmsgerr *error = NLMSG_DATA(header);
            return header->nlmsg_len < NLMSG_LENGTH(sizeof *error) || error->error == 0 ? -EPROTO : error->error;
        }
        if (header->nlmsg_type != SOCK_DIAG_BY_FAMILY) continue;
        if (header->nlmsg_len < NLMSG_LENGTH(sizeof(struct inet_diag_msg))) return -EPROTO;
        const struct inet_diag_msg *message = NLMSG_DATA(header);
        size_t rest = header->nlmsg_len - NLMSG_LENGTH(sizeof *message);
        memset(diagnosis, 0, sizeof *diagnosis);
        for (const struct rtattr *attribute = (const struct rtattr *)(message + 1); RTA_OK(attribute, rest);
             attribute = RTA_NEXT(attribute, rest)) {
            switch (attribute->rta_type) {
            case INET_DIAG_SHUTDOWN:
                diagnosis->shutdown = *(const uint8_t *)RTA_DATA(attribute);
                break;
            case INET_DIAG_MD5SIG:
                diagnosis->has_md5 = 1;
                break;
            case INET_DIAG_ULP_INFO:
                diagnosis->upper_layer = 1;
                break;
            }
        }
        return 0;
    }
    return -ENOENT;
}

int baton_tcp_diagnose(int family, const void *local, uint16_t local_port, const void *remote, uint16_t remote_port,
                       baton_tcp_diagnosis *diagnosis) {
    size_t size = family == AF_INET6 ? 16 : 4;
    struct {
        struct nlmsghdr header;
        struct inet_diag_req_v2 body;
    } request = {
        .header = {.nlmsg_len = sizeof request, .nlmsg_type = SOCK_DIAG_BY_FAMILY, .nlmsg_flags = NLM_F_REQUEST},
        .body = {
            .sdiag_family = (uint8_t)family,
            .sdiag_protocol = IPPROTO_TCP,
            .idiag_ext = 1 << (INET_DIAG_INFO - 1) | 1 << (INET_DIAG_SHUTDOWN - 1),
            .idiag_states = ~0u,
            .id = {.idiag_sport = htons(local_port), .idiag_dport = htons(remote_port),
                   .idiag_cookie = {INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE}},
        },
    };
    memcpy(request.body.id.idiag_src, local, size);
    memcpy(request.body.id.idiag_dst, remote, size);
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    if (fd < 0) return -errno;
    _Alignas(struct nlmsghdr) unsigned char buffer[8192];
    int result = send(fd, &request, sizeof request, 0) < 0 ? -errno : 0;
    if (result == 0) {
        ssize_t length = recv(fd, buffer, sizeof buffer, 0);
        result = length < 0 ? -errno : read_diagnosis(buffer, (size_t)length, diagnosis);
    }
    close(fd);
    return result;
}

int baton_wait_for_packets_in_flight(void) {
    // MEMBARRIER_CMD_GLOBAL waits for an RCU grace period, and a packet goes from the ingress hook to its socket inside
    // one RCU read-side critical section.
    return syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0) == 0 ? 0 : -errno;
}
