/*
 * Design.  One table of names; the place of a name is the number of its bit.
 */
#include "service_kit/role.h"

#include <assert.h>
#include <string.h>

static const char *const names[ROLE_COUNT] = {"user", "operator", "auditor", "admin"};

const char *role_name(size_t index) {
    assert(index < ROLE_COUNT);
    return names[index];
}

unsigned role_parse(const char *text, size_t length) {
    for (size_t i = 0; i < ROLE_COUNT; i++) {
        if (strlen(names[i]) == length && memcmp(names[i], text, length) == 0) {
            return 1U << i;
        }
    }
    return 0;
}

void roles_format(unsigned roles, char separator, char text[static ROLES_TEXT_SIZE]) {
    size_t at = 0;
    for (size_t i = 0; i < ROLE_COUNT; i++) {
        if ((roles & 1U << i) == 0) {
            continue;
        }
        if (at > 0) {
            text[at++] = separator;
        }
        size_t length = strlen(names[i]);
        assert(at + length < ROLES_TEXT_SIZE);
        memcpy(text + at, names[i], length);
        at += length;
    }
    text[at] = '\0';
}

bool roles_parse(const char *text, size_t length, char separator, unsigned *roles) {
    *roles = 0;
    const char *end = text + length;
    while (text < end) {
        const char *stop = memchr(text, separator, (size_t)(end - text));
        size_t word = stop == NULL ? (size_t)(end - text) : (size_t)(stop - text);
        unsigned role = role_parse(text, word);
        if (role == 0 || (stop != NULL && stop + 1 == end)) {
            return false;
        }
        *roles |= role;
        text = stop == NULL ? end : stop + 1;
    }
    return true;
}
