#include "resolver.h"

#include <arpa/nameser.h>
#include <netdb.h>
#include <netinet/in.h>
#include <resolv.h>
#include <string.h>

// The length of the answer, 0 for none of this name and type, -1 if nobody gives one.
static int ask(const char *name, int type, uint32_t server, uint16_t port, int seconds, unsigned char *answer, int size) {
    int length, error;
#ifdef __GLIBC__
    struct __res_state state;
    memset(&state, 0, sizeof state);
    if (res_ninit(&state) != 0) return -1;
    state.retrans = seconds;
    state.retry = 2;
    if (port != 0) {
        state.nscount = 1;
        memset(&state.nsaddr_list[0], 0, sizeof state.nsaddr_list[0]);
        state.nsaddr_list[0].sin_family = AF_INET;
        state.nsaddr_list[0].sin_port = htons(port);
        state.nsaddr_list[0].sin_addr.s_addr = server;
        length = res_nquery(&state, name, ns_c_in, type, answer, size);
    } else {
        length = res_nsearch(&state, name, ns_c_in, type, answer, size);
    }
    error = state.res_h_errno;
    res_nclose(&state);
#else
    // musl knows the servers of resolv.conf alone.
    (void)server;
    (void)seconds;
    if (port != 0) return -1;
    length = res_search(name, ns_c_in, type, answer, size);
    error = h_errno;
#endif
    if (length >= 0) return length > size ? size : length;
    return error == HOST_NOT_FOUND || error == NO_DATA ? 0 : -1;
}

int baton_dns_query(const char *name, int type, uint32_t server, uint16_t port, int seconds, struct baton_dns_record *records,
                    int capacity) {
    // An answer over UDP that is cut off is asked for again over TCP, so it can be as long as that allows.
    unsigned char answer[NS_MAXMSG];
    int length = ask(name, type, server, port, seconds, answer, sizeof answer);
    if (length <= 0) return length;
    ns_msg message;
    if (ns_initparse(answer, length, &message) != 0) return -1;
    int count = 0;
    uint32_t least = UINT32_MAX;
    for (int index = 0; index < ns_msg_count(message, ns_s_an); index++) {
        ns_rr record;
        if (ns_parserr(&message, ns_s_an, index, &record) != 0) return -1;
        if (ns_rr_class(record) != ns_c_in) continue;
        // RFC 2181 section 8: a TTL with its highest bit set is 0.
        uint32_t ttl = ns_rr_ttl(record) > INT32_MAX ? 0 : ns_rr_ttl(record);
        int kind = ns_rr_type(record);
        if (kind != type && kind != ns_t_cname) continue;
        if (ttl < least) least = ttl;
        if (kind != type) continue;
        const unsigned char *data = ns_rr_rdata(record);
        int size = ns_rr_rdlen(record);
        struct baton_dns_record one;
        memset(&one, 0, sizeof one);
        if (type == BATON_DNS_SRV) {
            if (size < 7) return -1;
            one.priority = ns_get16(data);
            one.weight = ns_get16(data + 2);
            one.port = ns_get16(data + 4);
            if (dn_expand(ns_msg_base(message), ns_msg_end(message), data + 6, one.target, sizeof one.target) < 0) return -1;
        } else {
            if (size != (type == BATON_DNS_A ? 4 : 16)) return -1;
            memcpy(one.address, data, size);
        }
        if (count < capacity) records[count] = one;
        count++;
    }
    for (int index = 0; index < count && index < capacity; index++) records[index].ttl = least;
    return count;
}
