/*
 * Design.  Every address is one of 16 bytes, so that IPv4 and its IPv6 form are the same.  What
 * cannot be read in X-Forwarded-For ends the walk: the last proxy that was believed is taken for
 * the client, so nonsense never moves a request to a fresh address.
 */
#include "service_kit/proxies.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#define IPV4_BITS_OFFSET 96U

_Static_assert(PROXIES_ADDRESS_MAX == INET6_ADDRSTRLEN, "any address fits");

static const uint8_t ipv4_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static bool is_ipv4(const uint8_t address[static 16]) {
    return memcmp(address, ipv4_prefix, sizeof ipv4_prefix) == 0;
}

static bool read_address(const char *text, size_t length, uint8_t address[static 16]) {
    char copy[PROXIES_ADDRESS_MAX];
    if (length == 0 || length >= sizeof copy || memchr(text, '\0', length) != NULL) {
        return false;
    }
    memcpy(copy, text, length);
    copy[length] = '\0';
    if (inet_pton(AF_INET, copy, address + sizeof ipv4_prefix) == 1) {
        memcpy(address, ipv4_prefix, sizeof ipv4_prefix);
        return true;
    }
    return inet_pton(AF_INET6, copy, address) == 1;
}

static void write_address(const uint8_t address[static 16], char text[static PROXIES_ADDRESS_MAX]) {
    bool short_form = is_ipv4(address);
    const void *bytes = short_form ? address + sizeof ipv4_prefix : address;
    if (inet_ntop(short_form ? AF_INET : AF_INET6, bytes, text, PROXIES_ADDRESS_MAX) == NULL) {
        text[0] = '\0';
    }
}

/* ---- the list ---- */

static bool read_bits(const char *text, size_t length, unsigned most, unsigned *bits) {
    unsigned value = 0;
    for (size_t i = 0; i < length; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return false;
        }
        value = value * 10 + (unsigned)(text[i] - '0');
        if (value > most) {
            return false;
        }
    }
    *bits = value;
    return length > 0;
}

static bool read_network(const char *text, size_t length, struct proxies_network *network) {
    const char *slash = memchr(text, '/', length);
    size_t address_length = slash == NULL ? length : (size_t)(slash - text);
    if (!read_address(text, address_length, network->address)) {
        return false;
    }
    bool ipv4 = memchr(text, ':', address_length) == NULL;
    unsigned bits = ipv4 ? 32 : 128;
    if (slash != NULL && !read_bits(slash + 1, length - address_length - 1, bits, &bits)) {
        return false;
    }
    network->bits = ipv4 ? bits + IPV4_BITS_OFFSET : bits;
    return true;
}

bool proxies_parse(const char *text, struct proxies *proxies) {
    proxies->count = 0;
    for (;;) {
        text += strspn(text, ", ");
        size_t length = strcspn(text, ", ");
        if (length == 0) {
            return true;
        }
        if (proxies->count == PROXIES_MAX ||
            !read_network(text, length, &proxies->networks[proxies->count])) {
            return false;
        }
        proxies->count++;
        text += length;
    }
}

static bool is_within(const struct proxies_network *network, const uint8_t address[static 16]) {
    unsigned bytes = network->bits / 8, bits = network->bits % 8;
    if (memcmp(network->address, address, bytes) != 0) {
        return false;
    }
    return bits == 0 || (network->address[bytes] ^ address[bytes]) >> (8 - bits) == 0;
}

static bool is_proxy(const struct proxies *proxies, const uint8_t address[static 16]) {
    for (size_t i = 0; i < proxies->count; i++) {
        if (is_within(&proxies->networks[i], address)) {
            return true;
        }
    }
    return false;
}

/* ---- the client ---- */

/* The last element before `end`, without blanks around it; moves `end` in front of it. */
static const char *last_element(const char *text, const char **end, size_t *length) {
    const char *stop = *end, *start = stop;
    while (start > text && start[-1] != ',') {
        start--;
    }
    *end = start > text ? start - 1 : text;
    while (start < stop && (*start == ' ' || *start == '\t')) {
        start++;
    }
    while (stop > start && (stop[-1] == ' ' || stop[-1] == '\t')) {
        stop--;
    }
    *length = (size_t)(stop - start);
    return start;
}

void proxies_client(const struct proxies *proxies, const char *peer, const char *forwarded,
                    size_t forwarded_length, char client[static PROXIES_ADDRESS_MAX]) {
    uint8_t address[16], before[16];
    if (!read_address(peer, strlen(peer), address)) {
        client[0] = '\0';
        return;
    }
    const char *end = forwarded == NULL ? NULL : forwarded + forwarded_length;
    while (is_proxy(proxies, address) && end != NULL && end > forwarded) {
        size_t length = 0;
        const char *element = last_element(forwarded, &end, &length);
        if (!read_address(element, length, before)) {
            break;
        }
        memcpy(address, before, sizeof address);
    }
    write_address(address, client);
}

void proxies_client_network(const char *client, char network[static PROXIES_ADDRESS_MAX]) {
    uint8_t address[16];
    if (!read_address(client, strlen(client), address)) {
        network[0] = '\0';
        return;
    }
    if (!is_ipv4(address)) {
        memset(address + 8, 0, 8);
    }
    write_address(address, network);
}
