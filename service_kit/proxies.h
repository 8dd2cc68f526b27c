/*
 * proxies: whose word is taken for where a request came from.
 *
 * X-Forwarded-For can be written by anybody.  It counts only when the peer is a configured proxy,
 * and of it only what was added by such: read from the right, the first address that is not a
 * proxy's is the client's.
 */
#ifndef PACIOLI_SERVICE_KIT_PROXIES_H
#define PACIOLI_SERVICE_KIT_PROXIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROXIES_MAX         32
#define PROXIES_ADDRESS_MAX 46 /* INET6_ADDRSTRLEN */

struct proxies_network {
    uint8_t address[16]; /* IPv4 as ::ffff:a.b.c.d */
    unsigned bits;
};

struct proxies {
    struct proxies_network networks[PROXIES_MAX];
    size_t count;
};

/* Addresses and networks ("10.0.0.0/8, 2001:db8::/32, 192.0.2.1"); "" is none.  False: not so. */
__attribute__((warn_unused_result)) bool proxies_parse(const char *text, struct proxies *proxies);
/* The client of a request from `peer`, which came with that X-Forwarded-For (NULL: none). */
void proxies_client(const struct proxies *proxies, const char *peer, const char *forwarded,
                    size_t forwarded_length, char client[static PROXIES_ADDRESS_MAX]);
/*
 * The network that one client may be taken to have for himself, as text: an IPv4 address, or the
 * /64 of an IPv6 one.
 */
void proxies_client_network(const char *client, char network[static PROXIES_ADDRESS_MAX]);

#endif
