/*
 * Design.  keys.json is written beside itself, synced and renamed, so that a reader finds the old
 * or the new one, whole.  A private key is written before the list names it, and removed after the
 * list has ceased to: at no time does the list promise what is not there.
 */
#include "auth_api/keys.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "service_kit/json.h"

#define PATH_SIZE      4352
#define FILE_BYTES_MAX 16384
#define NODES_MAX      512
#define LIST_FILE      "keys.json"

static const char *const state_names[KEYS_STATE_COUNT] = {"next", "active", "verify"};

const char *keys_state_name(enum keys_state state) {
    return state_names[state];
}

/* ---- files ---- */

static bool fail_file(const char *path, const char *what, char *error, size_t error_size) {
    snprintf(error, error_size, "%s: %s: %s", path, what, strerror(errno));
    return false;
}

static void path_of(const char *folder, const char *name, const char *suffix,
                    char path[static PATH_SIZE]) {
    snprintf(path, PATH_SIZE, "%s/%s%s", folder, name, suffix);
}

/* All of it, NUL-terminated.  False: it is not there, or larger than that. */
static bool read_file(const char *path, char *bytes, size_t size, size_t *length) {
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) {
        return false;
    }
    *length = 0;
    ssize_t got = 1;
    while (got > 0 && *length < size) {
        got = read(file, bytes + *length, size - *length);
        if (got > 0) {
            *length += (size_t)got;
        }
    }
    close(file);
    if (*length == size) {
        errno = EFBIG;
        return false;
    }
    bytes[*length] = '\0';
    return got == 0;
}

/* A new file of this process' user alone, on disk when this returns. */
static bool write_file(const char *path, const char *bytes, size_t length, char *error,
                       size_t error_size) {
    const int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file < 0) {
        return fail_file(path, "cannot be made", error, error_size);
    }
    bool good = fchmod(file, 0600) == 0;
    for (size_t done = 0; good && done < length;) {
        const ssize_t wrote = write(file, bytes + done, length - done);
        good = wrote > 0;
        done += good ? (size_t)wrote : 0;
    }
    good = good && fsync(file) == 0;
    good = close(file) == 0 && good;
    return good || fail_file(path, "cannot be written", error, error_size);
}

static void sync_folder(const char *folder) {
    const int file = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (file >= 0) {
        (void)fsync(file);
        close(file);
    }
}

struct keys_stamp keys_stamp(const char *folder) {
    char path[PATH_SIZE];
    struct stat status;
    path_of(folder, LIST_FILE, "", path);
    if (stat(path, &status) != 0) {
        return (struct keys_stamp){.size = 0};
    }
    return (struct keys_stamp){.modified = status.st_mtim,
                               .inode = (uint64_t)status.st_ino,
                               .size = (uint64_t)status.st_size};
}

/* ---- the list ---- */

static bool read_state(const struct json_node *row, struct keys_entry *entry) {
    const struct json_node *state = json_member(row, "state"), *since = json_member(row, "since");
    if (state == NULL || state->type != JSON_STRING || since == NULL ||
        since->type != JSON_NUMBER || since->length > 12) {
        return false;
    }
    entry->since_unix_s = strtoll(since->text, NULL, 10);
    for (size_t i = 0; i < KEYS_STATE_COUNT; i++) {
        if (strcmp(state->text, state_names[i]) == 0) {
            entry->state = (enum keys_state)i;
            return true;
        }
    }
    return false;
}

static size_t count_of(const struct keys_ring *ring, enum keys_state state) {
    size_t count = 0;
    for (size_t i = 0; i < ring->count; i++) {
        count += ring->entries[i].state == state;
    }
    return count;
}

static bool parse_list(const char *bytes, size_t length, struct keys_ring *ring) {
    struct token_key list[TOKEN_KEYS_MAX];
    struct json_error refused;
    if (!token_keys_read(bytes, length, list, &ring->count)) {
        return false;
    }
    struct json_document *document = json_read(bytes, length, NODES_MAX, &refused);
    const struct json_node *rows =
        document != NULL ? json_member(json_root(document), "keys") : NULL;
    bool good = rows != NULL && rows->count == ring->count;
    size_t at = 0;
    for (const struct json_node *row = good ? rows->first : NULL; row != NULL; row = row->next) {
        ring->entries[at].key = list[at];
        good = good && read_state(row, &ring->entries[at]);
        at++;
    }
    json_free(document);
    return good && count_of(ring, KEYS_ACTIVE) == 1;
}

bool keys_read(const char *folder, struct keys_ring *ring, char *error, size_t error_size) {
    char path[PATH_SIZE], bytes[FILE_BYTES_MAX + 1];
    size_t length = 0;
    path_of(folder, LIST_FILE, "", path);
    *ring = (struct keys_ring){.count = 0};
    if (!read_file(path, bytes, FILE_BYTES_MAX, &length)) {
        return fail_file(path, "cannot be read", error, error_size);
    }
    if (!parse_list(bytes, length, ring)) {
        snprintf(error, error_size, "%s: is not a list of keys with one that is active", path);
        return false;
    }
    return true;
}

bool keys_write(const char *folder, const struct keys_ring *ring, char *error, size_t error_size) {
    struct json_writer *writer = json_writer_create(FILE_BYTES_MAX);
    json_write_object_begin(writer);
    json_write_key(writer, "keys");
    json_write_array_begin(writer);
    for (size_t i = 0; i < ring->count; i++) {
        json_write_object_begin(writer);
        token_key_write(writer, &ring->entries[i].key);
        json_write_member(writer, "state", state_names[ring->entries[i].state]);
        json_write_key(writer, "since");
        json_write_integer(writer, ring->entries[i].since_unix_s);
        json_write_object_end(writer);
    }
    json_write_array_end(writer);
    json_write_object_end(writer);
    size_t length = 0;
    const char *text = json_writer_finish(writer, &length);
    char path[PATH_SIZE], beside[PATH_SIZE];
    path_of(folder, LIST_FILE, "", path);
    path_of(folder, LIST_FILE, ".new", beside);
    bool good = text != NULL && write_file(beside, text, length, error, error_size);
    if (good && rename(beside, path) != 0) {
        good = fail_file(path, "cannot be replaced", error, error_size);
    }
    sync_folder(folder);
    json_writer_free(writer);
    return good;
}

/* ---- one key ---- */

static bool read_point(const EVP_PKEY *pair, struct token_key *key) {
    BIGNUM *x = NULL, *y = NULL;
    const bool good =
        EVP_PKEY_get_bn_param(pair, OSSL_PKEY_PARAM_EC_PUB_X, &x) == 1 &&
        EVP_PKEY_get_bn_param(pair, OSSL_PKEY_PARAM_EC_PUB_Y, &y) == 1 &&
        BN_bn2binpad(x, key->point, TOKEN_KEY_POINT_SIZE / 2) > 0 &&
        BN_bn2binpad(y, key->point + TOKEN_KEY_POINT_SIZE / 2, TOKEN_KEY_POINT_SIZE / 2) > 0;
    BN_free(x);
    BN_free(y);
    token_key_name(key);
    return good;
}

bool keys_make(const char *folder, struct token_key *key, char *error, size_t error_size) {
    EVP_PKEY *pair = EVP_EC_gen("P-256");
    BIO *memory = BIO_new(BIO_s_secmem());
    bool good = pair != NULL && memory != NULL && read_point(pair, key) &&
                PEM_write_bio_PKCS8PrivateKey(memory, pair, NULL, NULL, 0, NULL, NULL) == 1;
    char *pem = NULL;
    const long length = good ? BIO_get_mem_data(memory, &pem) : 0;
    if (!good || length <= 0 || length >= TOKEN_KEY_PEM_SIZE) {
        snprintf(error, error_size, "a key could not be made");
        good = false;
    } else {
        char path[PATH_SIZE];
        path_of(folder, key->name, ".pem", path);
        good = write_file(path, pem, (size_t)length, error, error_size);
        sync_folder(folder);
    }
    BIO_free(memory);
    EVP_PKEY_free(pair);
    return good;
}

bool keys_private(const char *folder, const struct token_key *key,
                  char pem[static TOKEN_KEY_PEM_SIZE], char *error, size_t error_size) {
    char path[PATH_SIZE];
    size_t length = 0;
    path_of(folder, key->name, ".pem", path);
    if (!read_file(path, pem, TOKEN_KEY_PEM_SIZE - 1, &length)) {
        return fail_file(path, "cannot be read", error, error_size);
    }
    BIO *memory = BIO_new_mem_buf(pem, (int)length);
    EVP_PKEY *pair = memory != NULL ? PEM_read_bio_PrivateKey(memory, NULL, NULL, NULL) : NULL;
    struct token_key made = {.name = ""};
    const bool good = pair != NULL && read_point(pair, &made) &&
                      memcmp(made.point, key->point, sizeof made.point) == 0;
    EVP_PKEY_free(pair);
    BIO_free(memory);
    if (!good) {
        snprintf(error, error_size, "%s: is not the private key of its name", path);
        explicit_bzero(pem, TOKEN_KEY_PEM_SIZE);
    }
    return good;
}

void keys_forget(const char *folder, const struct token_key *key) {
    char path[PATH_SIZE];
    path_of(folder, key->name, ".pem", path);
    (void)unlink(path);
    sync_folder(folder);
}

/* ---- changes ---- */

static struct keys_entry *find_state(struct keys_ring *ring, enum keys_state state) {
    for (size_t i = 0; i < ring->count; i++) {
        if (ring->entries[i].state == state) {
            return &ring->entries[i];
        }
    }
    return NULL;
}

static void take_out(struct keys_ring *ring, const struct keys_entry *entry,
                     struct keys_drop *dropped) {
    const size_t at = (size_t)(entry - ring->entries);
    dropped->keys[dropped->count++] = entry->key;
    memmove(&ring->entries[at], &ring->entries[at + 1],
            (ring->count - at - 1) * sizeof *ring->entries);
    ring->count--;
}

static bool add_new(const char *folder, struct keys_ring *ring, enum keys_state state,
                    int64_t now_unix_s, char *error, size_t error_size) {
    if (ring->count == TOKEN_KEYS_MAX) {
        snprintf(error, error_size, "there are %d keys already; some must run out first",
                 TOKEN_KEYS_MAX);
        return false;
    }
    struct keys_entry *entry = &ring->entries[ring->count];
    *entry = (struct keys_entry){.state = state, .since_unix_s = now_unix_s};
    if (!keys_make(folder, &entry->key, error, error_size)) {
        return false;
    }
    ring->count++;
    return true;
}

bool keys_init(const char *folder, struct keys_ring *ring, int64_t now_unix_s, char *error,
               size_t error_size) {
    *ring = (struct keys_ring){.count = 0};
    return add_new(folder, ring, KEYS_ACTIVE, now_unix_s, error, error_size) &&
           add_new(folder, ring, KEYS_NEXT, now_unix_s, error, error_size);
}

bool keys_rotate(const char *folder, struct keys_ring *ring, int64_t now_unix_s, int64_t min_age_s,
                 int64_t keep_s, struct keys_drop *dropped, char *error, size_t error_size) {
    for (size_t i = ring->count; i-- > 0;) {
        const struct keys_entry *entry = &ring->entries[i];
        if (entry->state == KEYS_VERIFY && entry->since_unix_s + keep_s <= now_unix_s) {
            take_out(ring, entry, dropped);
        }
    }
    struct keys_entry *next = find_state(ring, KEYS_NEXT);
    struct keys_entry *active = find_state(ring, KEYS_ACTIVE);
    if (next == NULL || active == NULL || next->since_unix_s + min_age_s > now_unix_s) {
        snprintf(error, error_size,
                 "the next key must have been published for %lld s before it is used",
                 (long long)min_age_s);
        return false;
    }
    dropped->keys[dropped->count++] = active->key; /* it signs no more */
    active->state = KEYS_VERIFY;
    next->state = KEYS_ACTIVE;
    active->since_unix_s = next->since_unix_s = now_unix_s;
    return add_new(folder, ring, KEYS_NEXT, now_unix_s, error, error_size);
}

bool keys_withdraw(const char *folder, struct keys_ring *ring, const char *name, int64_t now_unix_s,
                   struct keys_drop *dropped, char *error, size_t error_size) {
    struct keys_entry *found = NULL;
    for (size_t i = 0; i < ring->count; i++) {
        if (strcmp(ring->entries[i].key.name, name) == 0) {
            found = &ring->entries[i];
        }
    }
    if (found == NULL) {
        snprintf(error, error_size, "there is no key %s", name);
        return false;
    }
    const enum keys_state state = found->state;
    take_out(ring, found, dropped);
    if (state == KEYS_VERIFY) {
        return true;
    }
    struct keys_entry *next = find_state(ring, KEYS_NEXT);
    if (state == KEYS_ACTIVE && next != NULL) {
        next->state = KEYS_ACTIVE;
        next->since_unix_s = now_unix_s;
    } else if (state == KEYS_ACTIVE &&
               !add_new(folder, ring, KEYS_ACTIVE, now_unix_s, error, error_size)) {
        return false;
    }
    return add_new(folder, ring, KEYS_NEXT, now_unix_s, error, error_size);
}
