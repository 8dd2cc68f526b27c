/*
 * auth_keys: the command that makes, rotates and withdraws the keys of auth_api, while it runs.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "auth_api/keys.h"
#include "service_kit/config.h"

#define EXIT_USAGE_ERROR  64
#define EXIT_CONFIG_ERROR 78
#define ERROR_MAX         512
#define KEEP_MORE_S       120 /* beyond the life of the last token that a key has signed */

struct settings {
    const char *keys_dir;
    int64_t expire_minutes, next_age_s;
};

static const struct config_setting SETTINGS[] = {
    {.name = "KEYS_DIR",
     .type = CONFIG_TEXT,
     .minimum = 1,
     .help = "folder of the keys",
     .offset = offsetof(struct settings, keys_dir)},
    {.name = "ACCESS_TOKEN_EXPIRE_MINUTES",
     .type = CONFIG_INTEGER,
     .default_value = "60",
     .minimum = 1,
     .maximum = 525600,
     .help = "how long an access token is valid: a key is kept for so long after its last one",
     .offset = offsetof(struct settings, expire_minutes)},
    {.name = "KEYS_NEXT_AGE_S",
     .type = CONFIG_INTEGER,
     .default_value = "600",
     .minimum = 0,
     .maximum = 31536000,
     .help = "how long a key must have been published before it is used",
     .offset = offsetof(struct settings, next_age_s)},
};
#define SETTING_COUNT (sizeof SETTINGS / sizeof *SETTINGS)

static const char usage[] =
    "usage: auth_keys init | list | rotate | withdraw KID | --help\n\n"
    "  init      makes an active and a next key, unless there are keys already\n"
    "  list      prints KID STATE SINCE of every key\n"
    "  rotate    the next key signs from now on, the active one is only verified with, and there "
    "is\n"
    "            a new next one; keys whose last token has expired are dropped\n"
    "  withdraw  an emergency: the key is gone, and tokens that it signed are refused\n\n"
    "A running auth_api follows within a quarter of a second. Settings come from the environment, "
    "or\n"
    "from a file .env in the working folder; the environment wins.\n\n";

static int fail(int status, const char *error) {
    fprintf(stderr, "auth_keys: %s\n", error);
    return status;
}

static bool has_keys(const char *folder) {
    return keys_stamp(folder).size > 0;
}

static void list(const struct keys_ring *ring) {
    for (size_t i = 0; i < ring->count; i++) {
        const struct keys_entry *entry = &ring->entries[i];
        struct tm utc;
        char since[32];
        const time_t when = (time_t)entry->since_unix_s;
        strftime(since, sizeof since, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&when, &utc));
        printf("%s %-6s %s\n", entry->key.name, keys_state_name(entry->state), since);
    }
}

/* One command at a time; the lock ends with the process. */
static bool lock_folder(const char *folder, char *error, size_t error_size) {
    if (mkdir(folder, 0700) != 0 && errno != EEXIST) {
        snprintf(error, error_size, "%s: %s", folder, strerror(errno));
        return false;
    }
    const int file = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (file < 0 || flock(file, LOCK_EX) != 0) {
        snprintf(error, error_size, "%s: %s", folder, strerror(errno));
        return false;
    }
    return true;
}

static bool change(const struct settings *settings, const char *command, const char *name,
                   struct keys_ring *ring, char *error, size_t error_size) {
    const char *folder = settings->keys_dir;
    const int64_t now = (int64_t)time(NULL);
    struct keys_drop dropped = {.count = 0};
    bool good = false;
    if (strcmp(command, "init") == 0) {
        good = keys_init(folder, ring, now, error, error_size);
    } else if (strcmp(command, "rotate") == 0) {
        good =
            keys_read(folder, ring, error, error_size) &&
            keys_rotate(folder, ring, now, settings->next_age_s,
                        settings->expire_minutes * 60 + KEEP_MORE_S, &dropped, error, error_size);
    } else {
        good = keys_read(folder, ring, error, error_size) &&
               keys_withdraw(folder, ring, name, now, &dropped, error, error_size);
    }
    good = good && keys_write(folder, ring, error, error_size);
    for (size_t i = 0; good && i < dropped.count; i++) {
        keys_forget(folder, &dropped.keys[i]);
    }
    return good;
}

int main(int argc, char **argv) {
    static const char *const commands[] = {"init", "list", "rotate", "withdraw"};
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        printf("%s", usage);
        config_print_help(SETTINGS, SETTING_COUNT);
        return EXIT_SUCCESS;
    }
    bool known = false;
    for (size_t i = 0; argc > 1 && i < sizeof commands / sizeof *commands; i++) {
        known = known || strcmp(argv[1], commands[i]) == 0;
    }
    if (!known || argc != (strcmp(argv[1], "withdraw") == 0 ? 3 : 2)) {
        fprintf(stderr, "%s", usage);
        return EXIT_USAGE_ERROR;
    }
    char error[ERROR_MAX] = "";
    struct settings settings;
    struct config *texts =
        config_load(SETTINGS, SETTING_COUNT, ".env", &settings, error, sizeof error);
    if (texts == NULL) {
        return fail(EXIT_CONFIG_ERROR, error);
    }
    struct keys_ring ring = {.count = 0};
    bool good = lock_folder(settings.keys_dir, error, sizeof error);
    const bool nothing_to_do = strcmp(argv[1], "list") == 0 ||
                               (strcmp(argv[1], "init") == 0 && has_keys(settings.keys_dir));
    if (good && nothing_to_do) {
        good = keys_read(settings.keys_dir, &ring, error, sizeof error);
    } else if (good) {
        good = change(&settings, argv[1], argv[argc - 1], &ring, error, sizeof error);
    }
    if (good) {
        list(&ring);
    }
    config_free(texts);
    return good ? EXIT_SUCCESS : fail(EXIT_FAILURE, error);
}
