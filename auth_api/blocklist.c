/*
 * Design.  The file is kept as it is, with the place of each line, and searched by bisection.  A
 * password is compared as the list was written: NFKC, without case.  What is left of it without
 * digits and signs at its ends must not be the user's own name or a word of this service either:
 * "wallet2026!" is no better than "wallet".
 */
#include "auth_api/blocklist.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utf8proc.h>

#include "service_kit/memory.h"

#define FILE_BYTES_MAX (8L << 20)
#define PATH_BYTES_MAX 4096
#define DEFAULT_FILE   "share/passwords/common.txt"

struct blocklist {
    char *bytes;
    const char **lines; /* sorted by byte, each NUL-terminated */
    size_t count;
};

static const char *const context_words[] = {"pacioli", "wallet",  "ledger",   "account",
                                            "bank",    "payment", "password", "passwort"};

/* Beside the program's folder. */
static bool default_path(char *path, size_t size) {
    char program[PATH_BYTES_MAX];
    ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
    program[length > 0 ? length : 0] = '\0';
    for (int i = 0; i < 2; i++) { /* the program, then bin */
        char *slash = strrchr(program, '/');
        if (slash != NULL) {
            *slash = '\0';
        }
    }
    return snprintf(path, size, "%s/" DEFAULT_FILE, program) < (int)size;
}

static char *read_file(const char *path, size_t *length) {
    FILE *in = fopen(path, "rbe");
    if (in == NULL) {
        return NULL;
    }
    long size = fseek(in, 0, SEEK_END) == 0 ? ftell(in) : -1;
    char *bytes = NULL;
    if (size >= 0 && size <= FILE_BYTES_MAX && fseek(in, 0, SEEK_SET) == 0) {
        bytes = memory_allocate((size_t)size + 1, 1);
        *length = fread(bytes, 1, (size_t)size, in);
        if (*length != (size_t)size) {
            free(bytes);
            bytes = NULL;
            errno = EIO;
        }
    } else {
        errno = EFBIG;
    }
    (void)fclose(in);
    return bytes;
}

/* False: not sorted, or a line twice. */
static bool index_lines(struct blocklist *list, size_t length) {
    size_t room = 1;
    for (size_t i = 0; i < length; i++) {
        room += list->bytes[i] == '\n' ? 1 : 0;
    }
    list->lines = memory_allocate(room, sizeof *list->lines);
    for (char *line = list->bytes, *end = list->bytes + length; line < end;) {
        char *stop = memchr(line, '\n', (size_t)(end - line));
        stop = stop == NULL ? end : stop;
        *stop = '\0';
        if (list->count > 0 && strcmp(list->lines[list->count - 1], line) >= 0) {
            return false;
        }
        list->lines[list->count++] = line;
        line = stop + 1;
    }
    return true;
}

struct blocklist *blocklist_load(const char *path, char *error, size_t error_size) {
    struct blocklist *list = memory_allocate(1, sizeof *list);
    if (strcmp(path, "none") == 0) {
        return list;
    }
    char own[PATH_BYTES_MAX];
    size_t length = 0;
    if (*path == '\0') {
        path = default_path(own, sizeof own) ? own : "";
    }
    list->bytes = read_file(path, &length);
    if (list->bytes == NULL) {
        snprintf(error, error_size, "PASSWORD_BLOCKLIST: cannot read %s: %s", path,
                 strerror(errno)); /* NOLINT(concurrency-mt-unsafe): before there are threads */
    } else if (!index_lines(list, length)) {
        snprintf(error, error_size, "PASSWORD_BLOCKLIST: %s is not sorted", path);
    } else {
        return list;
    }
    blocklist_free(list);
    return NULL;
}

void blocklist_free(struct blocklist *list) {
    if (list != NULL) {
        free(list->bytes);
        free(list->lines);
        free(list);
    }
}

size_t blocklist_count(const struct blocklist *list) {
    return list->count;
}

static int compare(const void *key, const void *line) {
    return strcmp(key, *(const char *const *)line);
}

static bool is_listed(const struct blocklist *list, const char *folded) {
    return list->count > 0 &&
           bsearch(folded, list->lines, list->count, sizeof *list->lines, compare) != NULL;
}

/* NFKC without case, NUL-terminated, to be wiped and freed; NULL: no memory, or no UTF-8. */
static char *fold(const char *text, size_t length) {
    utf8proc_uint8_t *folded = NULL;
    utf8proc_ssize_t size =
        utf8proc_map((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)length, &folded,
                     UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT | UTF8PROC_CASEFOLD);
    return size < 0 ? NULL : (char *)folded;
}

static bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (unsigned char)c >= 0x80;
}

/* Is the text that word, but for digits and signs at both ends? */
static bool is_decorated(const char *text, const char *word) {
    const char *end = text + strlen(text);
    while (text < end && !is_letter(*text)) {
        text++;
    }
    while (end > text && !is_letter(end[-1])) {
        end--;
    }
    const char *stop = word + strlen(word);
    while (word < stop && !is_letter(*word)) {
        word++;
    }
    while (stop > word && !is_letter(stop[-1])) {
        stop--;
    }
    size_t length = (size_t)(end - text);
    return length > 0 && length == (size_t)(stop - word) && memcmp(text, word, length) == 0;
}

static const char *find_refusal(const struct blocklist *list, const char *username,
                                const char *folded) {
    if (list->count == 0) {
        return NULL;
    }
    if (is_listed(list, folded)) {
        return "is one of the most common passwords";
    }
    char *name = fold(username, strlen(username));
    bool own = name != NULL && (strcmp(name, folded) == 0 || is_decorated(folded, name));
    free(name);
    if (own) {
        return "must not be made of the username";
    }
    for (size_t i = 0; i < sizeof context_words / sizeof context_words[0]; i++) {
        if (is_decorated(folded, context_words[i])) {
            return "must not be made of a word of this service";
        }
    }
    return NULL;
}

const char *blocklist_refusal(const struct blocklist *list, const char *username,
                              const char *password, size_t length) {
    char *folded = fold(password, length);
    if (folded == NULL) {
        return "cannot be compared with common passwords";
    }
    const char *reason = find_refusal(list, username, folded);
    explicit_bzero(folded, strlen(folded));
    free(folded);
    return reason;
}
