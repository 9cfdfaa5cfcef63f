// Questions to DNS whose answers say how long they hold, which getaddrinfo(3) does not tell.
#ifndef BATON_CRESOLVER_H
#define BATON_CRESOLVER_H

#include <stdint.h>

enum { BATON_DNS_A = 1, BATON_DNS_AAAA = 28, BATON_DNS_SRV = 33 };

// One record of an answer. Of A and AAAA the address, in network order; of SRV (RFC 2782) the rest.
struct baton_dns_record {
    uint32_t ttl; // seconds, the least of the records on the way to it
    uint16_t priority, weight, port;
    uint8_t address[16];
    char target[256];
};

// Asks for records of `type`. Blocks for at most about twice `seconds` for each server.
//
// `server` and `port` are an IPv4 address in network order and its port in the host's; a port of 0 asks the servers of
// resolv.conf(5), with its search list.
// Returns how many records there are, of which at most `capacity` are in `records`: 0 if there is no such name or it has none.
// -1 if no server gives an answer, or one that makes no sense.
int baton_dns_query(const char *name, int type, uint32_t server, uint16_t port, int seconds, struct baton_dns_record *records,
                    int capacity);

#endif
