/*
 * Design.  Escaping is one-to-one: %XX is a byte, and a % in the original is %25.  What stays as it
 * is are letters, digits, UTF-8 that is no control or direction character, and punctuation that
 * no reader gives a meaning inside a description.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "reports/export.h"

#define US_PER_S        1000000
#define FRACTION_DIGITS 6

static void split_time(int64_t time_us, struct tm *tm, int64_t *fraction_us) {
    *fraction_us = time_us % US_PER_S;
    time_t seconds = time_us / US_PER_S;
    if (*fraction_us < 0) {
        *fraction_us += US_PER_S;
        seconds--;
    }
    if (gmtime_r(&seconds, tm) == NULL)
        *tm = (struct tm){.tm_mday = 1};
}

void export_date(int64_t time_us, char text[static EXPORT_DATE_TEXT]) {
    struct tm tm;
    int64_t fraction_us;
    split_time(time_us, &tm, &fraction_us);
    if (strftime(text, EXPORT_DATE_TEXT, "%Y-%m-%d", &tm) == 0)
        memcpy(text, "9999-12-31", EXPORT_DATE_TEXT);
}

void export_time(struct export_clock *clock, int64_t time_us, char text[static EXPORT_TIME_TEXT]) {
    int64_t fraction_us = time_us % US_PER_S, second = time_us / US_PER_S;
    if (fraction_us < 0) {
        fraction_us += US_PER_S;
        second--;
    }
    if (clock->text[0] == '\0' || clock->second != second) {
        struct tm tm;
        split_time(time_us, &tm, &fraction_us);
        clock->second = second;
        if (strftime(clock->text, sizeof(clock->text), "%Y-%m-%dT%H:%M:%S", &tm) == 0)
            clock->text[0] = '\0';
    }
    size_t length = strlen(clock->text);
    memcpy(text, clock->text, length);
    text[length] = '.';
    for (size_t at = length + FRACTION_DIGITS; at > length; at--, fraction_us /= 10)
        text[at] = (char)('0' + fraction_us % 10);
    memcpy(text + length + 1 + FRACTION_DIGITS, "Z", sizeof("Z"));
}

void export_amount(struct output *output, money_minor minor, uint8_t decimals) {
    char text[MONEY_TEXT_MAX];
    output_bytes(output, text, money_format(minor, decimals, text));
}

static void put_percent(struct output *output, unsigned char byte) {
    static const char digits[] = "0123456789ABCDEF";
    const char text[] = {'%', digits[byte >> 4], digits[byte & 15]};
    output_bytes(output, text, sizeof(text));
}

/* Bytes of a character at `at` that must not be seen as it is; 0: it may. */
static size_t hidden_length(const char *at) {
    const unsigned char *byte = (const unsigned char *)at;
    if (byte[0] < 0x20 || byte[0] == 0x7F || strchr(";|%\"\\", byte[0]) != NULL)
        return 1;
    if (byte[0] == 0xC2 && byte[1] >= 0x80 && byte[1] <= 0xA0) /* C1 controls, no-break space */
        return 2;
    if (byte[0] == 0xD8 && byte[1] == 0x9C) /* Arabic letter mark */
        return 2;
    /* U+2000 to U+200F, U+2028 to U+202F, U+205F to U+206F: spaces, directions, line ends. */
    if (byte[0] == 0xE2 && byte[1] == 0x80 &&
        ((byte[2] >= 0x80 && byte[2] <= 0x8F) || (byte[2] >= 0xA8 && byte[2] <= 0xAF)))
        return 3;
    if (byte[0] == 0xE2 && byte[1] == 0x81 && byte[2] >= 0x9F && byte[2] <= 0xAF)
        return 3;
    /* U+1680, U+3000, U+FEFF: more spaces. */
    if (memcmp(at, "\xE1\x9A\x80", strnlen(at, 3)) == 0 && strnlen(at, 3) == 3)
        return 3;
    if (strncmp(at, "\xE3\x80\x80", 3) == 0 || strncmp(at, "\xEF\xBB\xBF", 3) == 0)
        return 3;
    return 0;
}

void export_escaped(struct output *output, const char *text) {
    for (const char *at = text; *at != '\0';) {
        size_t hidden = hidden_length(at);
        /* A space at an edge would be lost, two in a row begin a comment. */
        if (*at == ' ' && (at == text || at[1] == '\0' || at[1] == ' '))
            hidden = 1;
        /* At the beginning these are a state, a code, or a directive's mark. */
        if (at == text && strchr("*!([{<@=~#&^", *at) != NULL)
            hidden = 1;
        for (size_t i = 0; i < hidden; i++)
            put_percent(output, (unsigned char)at[i]);
        if (hidden == 0)
            output_bytes(output, at, 1);
        at += hidden == 0 ? 1 : hidden;
    }
}

static bool is_upper(char c) {
    return c >= 'A' && c <= 'Z';
}

static bool is_lower(char c) {
    return c >= 'a' && c <= 'z';
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

void export_account_name(struct output *output, const struct export_account *account) {
    for (const char *at = account->code; *at != '\0'; at++) {
        bool plain = is_upper(*at) || is_lower(*at) || is_digit(*at) ||
                     ((*at == '-' || *at == '_' || *at == '.') && at != account->code) ||
                     (*at == ':' && at != account->code && at[-1] != ':' && at[1] != '\0');
        if (plain)
            output_bytes(output, at, 1);
        else
            put_percent(output, (unsigned char)*at);
    }
}

static const char *beancount_root(const char *class) {
    static const struct {
        const char *class, *root;
    } roots[] = {{"asset", "Assets"},
                 {"liability", "Liabilities"},
                 {"equity", "Equity"},
                 {"income", "Income"},
                 {"expense", "Expenses"}};
    for (size_t i = 0; i < sizeof(roots) / sizeof(roots[0]); i++) {
        if (strcmp(roots[i].class, class) == 0)
            return roots[i].root;
    }
    return "Equity";
}

/*
 * beancount's components begin with a capital or a digit, and have letters, digits and "-" alone.
 * Two kinds can be told apart afterwards: small letters, whose first becomes a capital, and
 * capitals, at least two.  A component of another kind makes the name inexact.
 */
static bool put_component(struct output *output, const char *text, size_t length) {
    bool exact = length > 0 && text[0] != '-';
    size_t upper = 0, lower = 0;
    for (size_t i = 0; i < length; i++) {
        char c = text[i];
        bool known = is_upper(c) || is_lower(c) || is_digit(c) || c == '-';
        upper += is_upper(c);
        lower += is_lower(c);
        exact = exact && known;
        if (!known)
            c = '-';
        if (i == 0 && is_lower(c))
            c = (char)(c - 'a' + 'A');
        if (i == 0 && c == '-')
            output_bytes(output, "X", 1);
        output_bytes(output, &c, 1);
    }
    if (length == 0)
        output_bytes(output, "X", 1);
    return exact && (upper == 0 || (lower == 0 && upper >= 2));
}

/* Such an end is what makes an inexact name the only one of its account. */
static bool ends_with_another_id(const struct export_account *account) {
    size_t length = strlen(account->code);
    uint8_t id[UUID_SIZE];
    return length > UUID_TEXT_LENGTH &&
           uuid_parse(account->code + length - UUID_TEXT_LENGTH, UUID_TEXT_LENGTH, id) &&
           memcmp(id, account->id, UUID_SIZE) != 0;
}

void export_beancount_name(struct output *output, const struct export_account *account) {
    const char *root = beancount_root(account->class);
    const char *at = account->code;
    size_t root_length = strlen(root);
    bool below_root = strncasecmp(at, root, root_length) == 0 && at[0] == root[0] - 'A' + 'a' &&
                      at[root_length] == ':';
    if (below_root)
        at += root_length + 1;
    output_text(output, root);
    bool exact = (below_root || strstr(account->code, account->id_text) != NULL) &&
                 !ends_with_another_id(account);
    for (;;) {
        size_t length = strcspn(at, ":");
        output_bytes(output, ":", 1);
        exact = put_component(output, at, length) && exact;
        if (at[length] == '\0')
            break;
        at += length + 1;
    }
    if (!exact) {
        output_bytes(output, "-", 1);
        output_text(output, account->id_text);
    }
}
