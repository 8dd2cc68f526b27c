/*
 * config: one table of settings, filled from the environment and a `.env` file.
 *
 * Where a value comes from, first hit wins: the variable in the environment, its alias there, the
 * variable in the file, its alias there, the default.  For a required setting an empty value is no
 * hit, so that `SECRET=${UNSET}` in a container file is "missing" and not "the empty secret".
 *
 * A `.env` line is `KEY=value`, with an optional `export ` before it; `#` begins a comment at the
 * start of a line or after white space.  'single' quotes take everything as it is, "double" quotes
 * know \\ \" \$ \n \r \t.  Nothing is interpolated.  Of two lines with one key the later wins, as
 * in a shell.  A line of any other shape is an error: skipping it would start a service with a
 * default where the operator meant something else.
 *
 * No error holds a value, secret or not: a secret in the wrong variable must not reach a log.
 */
#include "service_kit/config.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "service_kit/memory.h"

#define ENV_FILE_BYTES_MAX (64U * 1024U)
#define TEXT_LENGTH_MAX    4096

/* A list of texts: the values handed out, or the keys and values of the file. */
struct text {
    struct text *next;
    char *key; /* NULL: a value that was handed out */
    char *value;
};

struct config {
    struct text *texts;
};

/* What the file parser walks along. */
struct env_reader {
    const char *file;
    size_t line;
    struct text *entries; /* the latest first */
    char *error;
    size_t error_size;
};

__attribute__((format(printf, 3, 4))) static bool refuse(char *error, size_t error_size,
                                                         const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(error, error_size, format, arguments);
    va_end(arguments);
    return false;
}

static struct text *text_push(struct text *list, const char *key, size_t key_length,
                              const char *value, size_t value_length) {
    struct text *text = memory_allocate(1, sizeof(*text));
    text->next = list;
    if (key != NULL) {
        text->key = memory_allocate(key_length + 1, 1);
        memcpy(text->key, key, key_length);
    }
    text->value = memory_allocate(value_length + 1, 1);
    memcpy(text->value, value, value_length);
    return text;
}

/* Wiped: there are secrets among them. */
static void text_free_all(struct text *list) {
    while (list != NULL) {
        struct text *next = list->next;
        explicit_bzero(list->value, strlen(list->value));
        free(list->value);
        free(list->key);
        free(list);
        list = next;
    }
}

/* ---- the file ---- */

static bool is_blank(char c) {
    return c == ' ' || c == '\t';
}

static bool is_key_character(char c, bool first) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' ||
           (!first && c >= '0' && c <= '9');
}

static const char *skip_blanks(const char *at, const char *end) {
    while (at < end && is_blank(*at)) {
        at++;
    }
    return at;
}

static bool malformed(struct env_reader *reader, const char *rule) {
    return refuse(reader->error, reader->error_size, "%s, line %zu: %s", reader->file, reader->line,
                  rule);
}

/* After a closing quote: nothing, or a comment. */
static bool only_comment_left(const char *at, const char *end) {
    const char *rest = skip_blanks(at, end);
    return rest == end || (*rest == '#' && rest > at);
}

/* Reads a quoted value into `value` (room for the whole line). */
static bool read_quoted(struct env_reader *reader, const char *at, const char *end, char *value,
                        size_t *length) {
    const char quote = *at++;
    size_t count = 0;
    while (at < end && *at != quote) {
        if (quote == '"' && *at == '\\') {
            static const char escapes[] = "\\\"$nrt", meaning[] = "\\\"$\n\r\t";
            at++;
            const char *known = at < end && *at != '\0' ? strchr(escapes, *at) : NULL;
            if (known == NULL) {
                return malformed(reader, "unknown escape in double quotes");
            }
            value[count++] = meaning[known - escapes];
            at++;
            continue;
        }
        value[count++] = *at++;
    }
    if (at == end) {
        return malformed(reader, "a quote is not closed");
    }
    if (!only_comment_left(at + 1, end)) {
        return malformed(reader, "text after a closing quote");
    }
    *length = count;
    return true;
}

static void read_bare(const char *at, const char *end, char *value, size_t *length) {
    const char *start = at;
    while (at < end && !(*at == '#' && (at == start || is_blank(at[-1])))) {
        at++;
    }
    while (at > start && is_blank(at[-1])) {
        at--;
    }
    *length = (size_t)(at - start);
    memcpy(value, start, *length);
}

static bool read_line(struct env_reader *reader, const char *at, const char *end) {
    if (end > at && end[-1] == '\r') {
        end--;
    }
    at = skip_blanks(at, end);
    if (at == end || *at == '#') {
        return true;
    }
    if (end - at > 7 && memcmp(at, "export", 6) == 0 && is_blank(at[6])) {
        at = skip_blanks(at + 6, end);
    }
    const char *key = at;
    while (at < end && is_key_character(*at, at == key)) {
        at++;
    }
    const size_t key_length = (size_t)(at - key);
    at = skip_blanks(at, end);
    if (key_length == 0 || at == end || *at != '=') {
        return malformed(reader, "expected KEY=value");
    }
    at = skip_blanks(at + 1, end);

    char *value = memory_allocate((size_t)(end - at) + 1, 1);
    size_t length = 0;
    bool fine = true;
    if (at < end && (*at == '\'' || *at == '"')) {
        fine = read_quoted(reader, at, end, value, &length);
    } else {
        read_bare(at, end, value, &length);
    }
    if (fine) {
        reader->entries = text_push(reader->entries, key, key_length, value, length);
    }
    explicit_bzero(value, length);
    free(value);
    return fine;
}

/* The file's bytes; a length of 0 and no error when it does not exist. */
static bool slurp(struct env_reader *reader, char *bytes, size_t size, size_t *length) {
    *length = 0;
    const int fd = open(reader->file, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return errno == ENOENT || errno == ENOTDIR
                   ? true
                   : refuse(reader->error, reader->error_size, "%s: cannot be read: %s",
                            reader->file, strerror(errno));
    }
    ssize_t got = 0;
    do {
        got = read(fd, bytes + *length, size - *length);
        if (got > 0) {
            *length += (size_t)got;
        }
    } while ((got > 0 && *length < size) || (got < 0 && errno == EINTR));
    const int problem = errno;
    (void)close(fd);
    if (got < 0) {
        return refuse(reader->error, reader->error_size, "%s: cannot be read: %s", reader->file,
                      strerror(problem));
    }
    if (*length == size) {
        return refuse(reader->error, reader->error_size, "%s: larger than %u bytes", reader->file,
                      ENV_FILE_BYTES_MAX);
    }
    return true;
}

static bool read_file(struct env_reader *reader) {
    const size_t size = ENV_FILE_BYTES_MAX + 1;
    char *bytes = memory_allocate(size, 1);
    size_t length = 0;
    bool fine = slurp(reader, bytes, size, &length);
    const char *at = bytes, *end = bytes + length;
    while (fine && at < end) {
        reader->line++;
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const char *line_end = newline == NULL ? end : newline;
        if (memchr(at, '\0', (size_t)(line_end - at)) != NULL) {
            fine = malformed(reader, "a NUL byte");
        } else {
            fine = read_line(reader, at, line_end);
        }
        at = newline == NULL ? end : newline + 1;
    }
    explicit_bzero(bytes, length);
    free(bytes);
    return fine;
}

/* ---- one setting ---- */

static const char *from_file(const struct text *entries, const char *name) {
    for (const struct text *entry = entries; entry != NULL; entry = entry->next) {
        if (strcmp(entry->key, name) == 0) {
            return entry->value;
        }
    }
    return NULL;
}

/* The value, and under which name it was found. NULL: nowhere. */
static const char *find_value(const struct config_setting *setting, const struct text *entries,
                              const char **found_as) {
    const char *const names[] = {setting->name, setting->alias};
    for (size_t i = 0; i < 4; i++) {
        const char *name = names[i % 2];
        if (name == NULL) {
            continue;
        }
        const char *value = i < 2 ? getenv(name) : from_file(entries, name);
        if (value != NULL && (*value != '\0' || setting->default_value != NULL)) {
            *found_as = name;
            return value;
        }
    }
    *found_as = setting->name;
    return setting->default_value;
}

static int64_t text_length_max(const struct config_setting *setting) {
    return setting->maximum == 0 ? TEXT_LENGTH_MAX : setting->maximum;
}

/* The rule in words, for errors. */
static void describe_rule(const struct config_setting *setting, char *rule, size_t size) {
    switch (setting->type) {
    case CONFIG_TEXT:
        if (setting->minimum > 0) {
            (void)snprintf(rule, size, "at least %" PRId64 " characters", setting->minimum);
        } else {
            (void)snprintf(rule, size, "at most %" PRId64 " characters", text_length_max(setting));
        }
        return;
    case CONFIG_INTEGER:
        (void)snprintf(rule, size, "a whole number from %" PRId64 " to %" PRId64, setting->minimum,
                       setting->maximum);
        return;
    case CONFIG_BOOLEAN:
        (void)snprintf(rule, size, "true or false");
        return;
    case CONFIG_CHOICE:
        (void)snprintf(rule, size, "one of %s", setting->choices);
        return;
    }
    abort();
}

static bool parse_integer(const char *text, int64_t *value) {
    const bool negative = *text == '-';
    const char *digits = text + negative;
    if (*digits == '\0') {
        return false;
    }
    int64_t total = 0;
    for (const char *at = digits; *at != '\0'; at++) {
        if (*at < '0' || *at > '9' || __builtin_mul_overflow(total, 10, &total)) {
            return false;
        }
        const int64_t digit = *at - '0';
        if (negative ? __builtin_sub_overflow(total, digit, &total)
                     : __builtin_add_overflow(total, digit, &total)) {
            return false;
        }
    }
    *value = total;
    return true;
}

static bool parse_boolean(const char *text, bool *value) {
    static const char *const words[] = {"false", "true", "0", "1", "no", "yes", "off", "on"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcasecmp(text, words[i]) == 0) {
            *value = i % 2 == 1;
            return true;
        }
    }
    return false;
}

static bool is_choice(const char *choices, const char *text) {
    const size_t length = strlen(text);
    for (const char *at = choices; length > 0;) {
        const size_t choice_length = strcspn(at, "|");
        if (choice_length == length && memcmp(at, text, length) == 0) {
            return true;
        }
        if (at[choice_length] == '\0') {
            break;
        }
        at += choice_length + 1;
    }
    return false;
}

static bool has_control_character(const char *text) {
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text < 0x20 || *text == 0x7f) {
            return true;
        }
    }
    return false;
}

/*
 * Writes the value to its place in the target.  `rule` holds the setting's main rule and is
 * replaced when the value breaks another one.
 */
static bool store(struct config *config, const struct config_setting *setting, const char *value,
                  void *target, char *rule, size_t rule_size) {
    char *place = (char *)target + setting->offset;
    const int64_t length = (int64_t)strlen(value);
    switch (setting->type) {
    case CONFIG_TEXT:
        if (length > text_length_max(setting)) {
            return refuse(rule, rule_size, "at most %" PRId64 " characters",
                          text_length_max(setting));
        }
        if (length < setting->minimum) {
            return false;
        }
        if (has_control_character(value)) {
            return refuse(rule, rule_size, "one line without control characters");
        }
        break;
    case CONFIG_INTEGER: {
        int64_t number = 0;
        if (!parse_integer(value, &number) || number < setting->minimum ||
            number > setting->maximum) {
            return false;
        }
        memcpy(place, &number, sizeof(number));
        return true;
    }
    case CONFIG_BOOLEAN: {
        bool truth = false;
        if (!parse_boolean(value, &truth)) {
            return false;
        }
        memcpy(place, &truth, sizeof(truth));
        return true;
    }
    case CONFIG_CHOICE:
        if (!is_choice(setting->choices, value)) {
            return false;
        }
        break;
    }
    config->texts = text_push(config->texts, NULL, 0, value, (size_t)length);
    const char *kept = config->texts->value;
    memcpy(place, &kept, sizeof(kept));
    return true;
}

static bool load_setting(struct config *config, const struct config_setting *setting,
                         const struct text *entries, void *target, char *error, size_t error_size) {
    const char *found_as = NULL;
    const char *value = find_value(setting, entries, &found_as);
    char rule[256];
    describe_rule(setting, rule, sizeof(rule));
    if (value == NULL) {
        /* "required, at most 4096 characters" would help nobody. */
        const bool has_rule = setting->type != CONFIG_TEXT || setting->minimum > 1;
        return refuse(error, error_size, "%s: required%s%s", setting->name, has_rule ? ", " : "",
                      has_rule ? rule : "");
    }
    if (store(config, setting, value, target, rule, sizeof(rule))) {
        return true;
    }
    assert(value != setting->default_value); /* a default that breaks its own rule */
    return refuse(error, error_size, "%s: %s", found_as, rule);
}

struct config *config_load(const struct config_setting *settings, size_t count,
                           const char *env_file, void *target, char *error, size_t error_size) {
    struct env_reader reader = {.file = env_file, .error = error, .error_size = error_size};
    struct config *config = memory_allocate(1, sizeof(*config));
    bool fine = env_file == NULL || read_file(&reader);
    for (size_t i = 0; fine && i < count; i++) {
        fine = load_setting(config, &settings[i], reader.entries, target, error, error_size);
    }
    text_free_all(reader.entries);
    if (!fine) {
        config_free(config);
        return NULL;
    }
    return config;
}

void config_free(struct config *config) {
    if (config != NULL) {
        text_free_all(config->texts);
        free(config);
    }
}

/* ---- printing ---- */

static void names_of(const struct config_setting *setting, char *names, size_t size) {
    (void)snprintf(names, size, "%s%s%s", setting->name, setting->alias == NULL ? "" : ", ",
                   setting->alias == NULL ? "" : setting->alias);
}

static const char *shown_default(const struct config_setting *setting) {
    if (setting->default_value == NULL) {
        return "required";
    }
    return *setting->default_value == '\0' ? "-" : setting->default_value;
}

static int wider(int width, const char *text) {
    const int length = (int)strlen(text);
    return length > width ? length : width;
}

void config_print_help(const struct config_setting *settings, size_t count) {
    int name_width = 0, default_width = 0;
    char names[160];
    for (size_t i = 0; i < count; i++) {
        names_of(&settings[i], names, sizeof(names));
        name_width = wider(name_width, names);
        default_width = wider(default_width, shown_default(&settings[i]));
    }
    for (size_t i = 0; i < count; i++) {
        names_of(&settings[i], names, sizeof(names));
        printf("  %-*s  %-*s  %s\n", name_width, names, default_width, shown_default(&settings[i]),
               settings[i].help);
    }
}

void config_print_values(const struct config_setting *settings, size_t count, const void *target) {
    int name_width = 0;
    for (size_t i = 0; i < count; i++) {
        name_width = wider(name_width, settings[i].name);
    }
    for (size_t i = 0; i < count; i++) {
        const char *place = (const char *)target + settings[i].offset;
        printf("%-*s  ", name_width, settings[i].name);
        const char *text = NULL;
        int64_t number = 0;
        bool truth = false;
        switch (settings[i].type) {
        case CONFIG_INTEGER:
            memcpy(&number, place, sizeof(number));
            printf("%" PRId64 "\n", number);
            break;
        case CONFIG_BOOLEAN:
            memcpy(&truth, place, sizeof(truth));
            printf("%s\n", truth ? "true" : "false");
            break;
        case CONFIG_TEXT:
        case CONFIG_CHOICE:
            memcpy(&text, place, sizeof(text));
            if (*text == '\0') {
                printf("(empty)\n");
            } else {
                printf("%s\n", settings[i].secret ? "(set)" : text);
            }
            break;
        }
    }
}
