#define _GNU_SOURCE
#include "packet_devices.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netpacket/packet.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static int name_request(struct ifreq *request, const char *name) {
    memset(request, 0, sizeof *request);
    size_t length = strlen(name);
    if (length == 0 || length >= IFNAMSIZ) return -EINVAL;
    memcpy(request->ifr_name, name, length);
    return 0;
}

// Keeps the kernel from giving the interface a link-local address and talking on it.
static int silence_ipv6(int netlink, int index) {
    struct {
        struct nlmsghdr header;
        struct ifinfomsg info;
        struct rtattr spec, family, mode;
        uint8_t value, padding[3];
    } request = {
        .header = {.nlmsg_len = sizeof request, .nlmsg_type = RTM_NEWLINK, .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK},
        .info = {.ifi_index = index},
        .spec = {.rta_len = 3 * sizeof(struct rtattr) + 4, .rta_type = IFLA_AF_SPEC | NLA_F_NESTED},
        .family = {.rta_len = 2 * sizeof(struct rtattr) + 4, .rta_type = AF_INET6 | NLA_F_NESTED},
        .mode = {.rta_len = sizeof(struct rtattr) + 1, .rta_type = IFLA_INET6_ADDR_GEN_MODE},
        .value = 1,  // IN6_ADDR_GEN_MODE_NONE
    };
    return send(netlink, &request, sizeof request, 0) < 0 ? -errno : 0;
}

static int netlink_answer(int netlink) {
    _Alignas(struct nlmsghdr) unsigned char buffer[4096];
    ssize_t length = recv(netlink, buffer, sizeof buffer, 0);
    if (length < 0) return -errno;
    const struct nlmsghdr *header = (const struct nlmsghdr *)buffer;
    if (!NLMSG_OK(header, (size_t)length) || header->nlmsg_type != NLMSG_ERROR) return -EPROTO;
    if (header->nlmsg_len < NLMSG_LENGTH(sizeof(struct nlmsgerr))) return -EPROTO;
    return ((const struct nlmsgerr *)NLMSG_DATA(header))->error;
}

static int configure_tap(const char *name, int queue_length, uint8_t *address) {
    struct ifreq request;
    int result = 0;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    int netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (fd < 0 || netlink < 0) result = -errno;
    if (result == 0) result = name_request(&request, name);
    if (result == 0 && ioctl(fd, SIOCGIFINDEX, &request) != 0) result = -errno;
    if (result == 0) {
        result = silence_ipv6(netlink, request.ifr_ifindex);
        if (result == 0) result = netlink_answer(netlink);
        // No IPv6 at all in this kernel: then there is nothing to silence.
        if (result == -EAFNOSUPPORT) result = 0;
    }
    if (result == 0) {
        request.ifr_qlen = queue_length;
        if (ioctl(fd, SIOCSIFTXQLEN, &request) != 0) result = -errno;
    }
    if (result == 0 && ioctl(fd, SIOCGIFHWADDR, &request) != 0) result = -errno;
    if (result == 0) {
        memcpy(address, request.ifr_hwaddr.sa_data, 6);
        request.ifr_flags = IFF_UP | IFF_RUNNING | IFF_NOARP;
        if (ioctl(fd, SIOCSIFFLAGS, &request) != 0) result = -errno;
    }
    if (netlink >= 0) close(netlink);
    if (fd >= 0) close(fd);
    return result;
}

int baton_tap_open(const char *name, int queue_length, uint8_t *address) {
    struct ifreq request;
    int result = name_request(&request, name);
    if (result != 0) return result;
    int tap = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (tap < 0) return -errno;
    request.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
    int header = BATON_TAP_HEADER;
    unsigned long offload = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;
    if (ioctl(tap, TUNSETIFF, &request) != 0 || ioctl(tap, TUNSETVNETHDRSZ, &header) != 0 ||
        ioctl(tap, TUNSETOFFLOAD, offload) != 0) {
        result = -errno;
    } else {
        result = configure_tap(name, queue_length, address);
    }
    if (result == 0) return tap;
    close(tap);
    return result;
}

int baton_interface_get(const char *name, int *index, uint8_t *address) {
    struct ifreq request;
    int result = name_request(&request, name);
    if (result != 0) return result;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
    if (ioctl(fd, SIOCGIFINDEX, &request) != 0) {
        result = -errno;
    } else {
        *index = request.ifr_ifindex;
        if (ioctl(fd, SIOCGIFHWADDR, &request) != 0) result = -errno;
        memcpy(address, request.ifr_hwaddr.sa_data, 6);
    }
    close(fd);
    return result;
}

int baton_packet_socket(void) {
    // Protocol 0: it sends, and receives nothing.
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    return fd < 0 ? -errno : fd;
}

int baton_packet_send(int fd, int index, uint16_t ether_type, const void *frame, size_t count) {
    struct sockaddr_ll target = {
        .sll_family = AF_PACKET,
        .sll_protocol = htons(ether_type),
        .sll_ifindex = index,
        .sll_halen = 6,
    };
    return sendto(fd, frame, count, 0, (struct sockaddr *)&target, sizeof target) < 0 ? -errno : 0;
}

int baton_raw_socket(int family) {
    // IPPROTO_RAW implies IP_HDRINCL (raw(7)) and receives nothing; IPv6 takes the header with IPV6_HDRINCL.
    int fd = socket(family, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
    if (fd < 0) return -errno;
    int on = 1;
    if (family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_HDRINCL, &on, sizeof on) != 0) {
        int error = errno;
        close(fd);
        return -error;
    }
    return fd;
}

int baton_raw_send(int fd, int family, const void *destination, const void *packet, size_t count) {
    struct sockaddr_in target4 = {.sin_family = AF_INET};
    struct sockaddr_in6 target6 = {.sin6_family = AF_INET6};
    struct sockaddr *target = (struct sockaddr *)&target4;
    socklen_t size = sizeof target4;
    if (family == AF_INET6) {
        memcpy(&target6.sin6_addr, destination, 16);
        target = (struct sockaddr *)&target6;
        size = sizeof target6;
    } else {
        memcpy(&target4.sin_addr, destination, 4);
    }
    return sendto(fd, packet, count, 0, target, size) < 0 ? -errno : 0;
}

int baton_address_change(int add, int family, const void *address, int prefix_length, int index) {
    size_t size = family == AF_INET6 ? 16 : 4;
    struct {
        struct nlmsghdr header;
        struct ifaddrmsg info;
        struct rtattr local;
        uint8_t value[16];
    } request = {
        .header = {.nlmsg_type = add ? RTM_NEWADDR : RTM_DELADDR,
                   .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | (add ? NLM_F_CREATE | NLM_F_EXCL : 0)},
        .info = {.ifa_family = (uint8_t)family, .ifa_prefixlen = (uint8_t)prefix_length, .ifa_index = (uint32_t)index,
                 .ifa_flags = family == AF_INET6 ? IFA_F_NODAD : 0},
        .local = {.rta_len = (unsigned short)(sizeof(struct rtattr) + size), .rta_type = IFA_LOCAL},
    };
    request.header.nlmsg_len = (uint32_t)(offsetof(__typeof__(request), value) + size);
    memcpy(request.value, address, size);
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (fd < 0) return -errno;
    int result = send(fd, &request, request.header.nlmsg_len, 0) < 0 ? -errno : netlink_answer(fd);
    close(fd);
    if (add && result == -EEXIST) return 0;
    if (!add && result == -EADDRNOTAVAIL) return 0;
    return result;
}
