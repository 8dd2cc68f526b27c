/*
 * MT940, SWIFT's customer statement message.
 *
 * Design: a cursor walks the file's lines; a field is its first line and the lines behind it that
 * do not begin a field.  A statement that fills several messages (62M closes a page, 60M opens the
 * next) becomes one: the pages must follow each other in number and balance.  SWIFT's envelope
 * ({1:...}{4: ... -}) is skipped where there is one.  Of :86: the references that the usual
 * structures name (EREF+ in ?20-?29, /EREF/) are taken.
 */
#include <stdio.h>
#include <string.h>

#include "reports/statements/builder.h"

#define FIELD_MAX 4096

struct mt940 {
    struct builder *builder;
    const char *at, *end;
    unsigned line; /* of `at` */
    char tag[4];
    char field[FIELD_MAX + 1]; /* its lines, with \n between them */
    size_t length;
    unsigned field_line;
    int number, page;
    bool balance_open; /* a 60 has been read, its 62 has not */
    bool page_closed;  /* by a 62M: the next message goes on */
    bool line_open;    /* a :86: belongs to the last :61: */
    char reference[17];
    char account[STATEMENT_REFERENCE_MAX + 1];
};

static bool fail(struct mt940 *mt, const char *reason) {
    char name[8] = ":";
    const size_t length = strlen(mt->tag);
    memcpy(name + 1, mt->tag, length);
    memcpy(name + 1 + length, ":", 2);
    return builder_fail(mt->builder, mt->field_line, name, reason);
}

/* ---- fields ---- */

static bool take_line(struct mt940 *mt, const char **text, size_t *length) {
    if (mt->at >= mt->end) {
        return false;
    }
    const char *stop = memchr(mt->at, '\n', (size_t)(mt->end - mt->at));
    const char *next = stop == NULL ? mt->end : stop + 1;
    stop = stop == NULL ? mt->end : stop;
    while (stop > mt->at && stop[-1] == '\r') {
        stop--;
    }
    *text = mt->at;
    *length = (size_t)(stop - mt->at);
    mt->at = next;
    mt->line++;
    return true;
}

/* The length of ":20:" or ":28C:" at the start of a line, or 0. */
static size_t tag_length(const char *text, size_t length) {
    int number;
    if (length < 4 || text[0] != ':' || !builder_digits(text + 1, 2, &number)) {
        return 0;
    }
    if (text[3] == ':') {
        return 4;
    }
    return length >= 5 && text[3] >= 'A' && text[3] <= 'Z' && text[4] == ':' ? 5 : 0;
}

static bool is_trailer(const char *text, size_t length) {
    return (length >= 1 && text[0] == '-' && (length == 1 || text[1] == '}')) ||
           (length >= 1 && text[0] == '{');
}

static bool append(struct mt940 *mt, const char *text, size_t length, bool first) {
    if (length + 1 > FIELD_MAX - mt->length) {
        return fail(mt, "is too long");
    }
    if (!first) {
        mt->field[mt->length++] = '\n';
    }
    memcpy(mt->field + mt->length, text, length);
    mt->length += length;
    mt->field[mt->length] = '\0';
    return true;
}

/* Reads the next field; false at the end of the file, or when it failed. */
static bool take_field(struct mt940 *mt) {
    const char *text;
    size_t length, tag;
    do {
        if (!take_line(mt, &text, &length)) {
            return false;
        }
        tag = tag_length(text, length);
        if (tag == 0 && length > 0 && !is_trailer(text, length) && mt->field_line > 0) {
            mt->field_line = mt->line;
            return fail(mt, "is followed by a line that belongs to no field");
        }
    } while (tag == 0);
    mt->field_line = mt->line;
    mt->length = 0;
    memcpy(mt->tag, text + 1, tag - 2);
    mt->tag[tag - 2] = '\0';
    if (!append(mt, text + tag, length - tag, true)) {
        return false;
    }
    for (;;) {
        const char *before = mt->at;
        if (!take_line(mt, &text, &length)) {
            return true;
        }
        if (length == 0 || tag_length(text, length) > 0 || is_trailer(text, length)) {
            mt->at = before;
            mt->line--;
            return true;
        }
        if (!append(mt, text, length, false)) {
            return false;
        }
    }
}

/* ---- balances ---- */

static bool read_short_date(struct mt940 *mt, const char *text, int32_t *day) {
    int year, month, of_month;
    if (!builder_digits(text, 2, &year) || !builder_digits(text + 2, 2, &month) ||
        !builder_digits(text + 4, 2, &of_month) ||
        !statement_day(year + (year < 80 ? 2000 : 1900), month, of_month, day)) {
        return fail(mt, "has something else than a date (YYMMDD)");
    }
    return true;
}

/* C|D YYMMDD CUR amount */
static bool read_balance(struct mt940 *mt, money_minor *amount, int32_t *day) {
    if (mt->length < 11 || (mt->field[0] != 'C' && mt->field[0] != 'D')) {
        return fail(mt, "is not a balance");
    }
    if (!read_short_date(mt, mt->field + 1, day) ||
        !builder_currency(mt->builder, mt->field + 7, 3, mt->field_line, mt->tag) ||
        !builder_amount(mt->builder, mt->field + 10, mt->length - 10, mt->field_line, mt->tag,
                        amount)) {
        return false;
    }
    *amount = mt->field[0] == 'D' ? -*amount : *amount;
    return true;
}

static bool open_statement(struct mt940 *mt) {
    struct statement *statement = builder_statement(mt->builder, mt->field_line);
    if (statement == NULL) {
        return false;
    }
    statement->account = builder_text(mt->builder, mt->account, strlen(mt->account));
    statement->sequence = mt->number;
    return true;
}

static bool read_opening(struct mt940 *mt) {
    const bool goes_on = mt->tag[2] == 'M';
    money_minor amount = 0;
    int32_t day = 0;
    if (mt->balance_open) {
        return fail(mt, "stands before the balance before it is closed");
    }
    if (goes_on != mt->page_closed) {
        return fail(mt, goes_on ? "has no page before it" : "stands where a page must go on");
    }
    if (!goes_on && !open_statement(mt)) {
        return false;
    }
    if (!read_balance(mt, &amount, &day)) {
        return false;
    }
    if (goes_on && amount != mt->builder->current->closing) {
        return fail(mt, "is not the balance at the end of the page before");
    }
    if (!goes_on) {
        mt->builder->current->opening = amount;
        mt->builder->current->opened_on = day;
    }
    mt->balance_open = true;
    mt->page_closed = false;
    return true;
}

/* What the bank calls it: the number when there is one, and the message's own reference. */
static bool name_statement(struct mt940 *mt) {
    char name[64];
    struct statement *statement = mt->builder->current;
    char date[STATEMENT_DATE_TEXT];
    statement_date_format(statement->closed_on, date);
    const int length = snprintf(name, sizeof(name), "%s/%.4s/%d", mt->reference, date, mt->number);
    statement->reference = builder_text(mt->builder, name, (size_t)length);
    return true;
}

static bool read_closing(struct mt940 *mt) {
    struct statement *statement = mt->builder->current;
    if (!mt->balance_open) {
        return fail(mt, "has no opening balance before it");
    }
    mt->balance_open = mt->line_open = false;
    if (!read_balance(mt, &statement->closing, &statement->closed_on)) {
        return false;
    }
    mt->page_closed = mt->tag[2] == 'M';
    return mt->page_closed || (name_statement(mt) && builder_finish(mt->builder));
}

/* ---- lines ---- */

/* MMDD of the booking, in the year that is nearest to the value date. */
static bool read_booking_date(struct mt940 *mt, const char *text, int32_t value_on, int32_t *day) {
    int month, of_month, year;
    char value[STATEMENT_DATE_TEXT];
    statement_date_format(value_on, value);
    if (!builder_digits(text, 2, &month) || !builder_digits(text + 2, 2, &of_month) ||
        !builder_digits(value, 4, &year)) {
        return fail(mt, "has something else than a booking date (MMDD)");
    }
    bool found = false;
    for (int candidate = year - 1; candidate <= year + 1; candidate++) {
        int32_t other;
        if (statement_day(candidate, month, of_month, &other)) {
            const int32_t gap = other > value_on ? other - value_on : value_on - other;
            const int32_t best = *day > value_on ? *day - value_on : value_on - *day;
            if (!found || gap < best) {
                *day = other;
                found = true;
            }
        }
    }
    return found || fail(mt, "has something else than a booking date (MMDD)");
}

/* C, D, RC or RD, and the third letter of the currency that some write behind it. */
static bool read_mark(struct mt940 *mt, size_t *at, bool *credit, bool *reversal) {
    const char *text = mt->field + *at;
    *reversal = text[0] == 'R';
    text += *reversal ? 1 : 0;
    if (text[0] != 'C' && text[0] != 'D') {
        return fail(mt, "has a mark other than C, D, RC and RD");
    }
    *credit = (text[0] == 'C') != *reversal;
    text++;
    text += text[0] >= 'A' && text[0] <= 'Z' ? 1 : 0;
    *at = (size_t)(text - mt->field);
    return true;
}

/* customer reference [// bank reference] [\n supplementary details] */
static bool read_line_references(struct mt940 *mt, struct statement_line *line, const char *text) {
    const char *stop = strchr(text, '\n');
    const size_t length = stop == NULL ? strlen(text) : (size_t)(stop - text);
    const char *slashes = memmem(text, length, "//", 2);
    const size_t own = slashes == NULL ? length : (size_t)(slashes - text);
    if (slashes != NULL) {
        line->bank_reference = builder_text(mt->builder, slashes + 2, length - own - 2);
    }
    if (stop != NULL) {
        line->text = builder_text(mt->builder, stop + 1, strlen(stop + 1));
    }
    if (strlen(line->bank_reference) > STATEMENT_REFERENCE_MAX) {
        return fail(mt, "has a reference that is longer than 140 bytes");
    }
    return builder_reference(mt->builder, line, text, own, mt->field_line, ":61:");
}

static bool read_line(struct mt940 *mt) {
    bool credit = false, reversal = false;
    if (!mt->balance_open) {
        return fail(mt, "stands outside of a statement");
    }
    struct statement_line *line = builder_line(mt->builder, mt->field_line);
    if (line == NULL) {
        return false;
    }
    if (mt->length < 6 || !read_short_date(mt, mt->field, &line->value_on)) {
        return fail(mt, "has something else than a date (YYMMDD)");
    }
    size_t at = 6;
    line->booked_on = line->value_on;
    if (mt->field[at] >= '0' && mt->field[at] <= '9') {
        if (mt->length < 10 ||
            !read_booking_date(mt, mt->field + at, line->value_on, &line->booked_on)) {
            return fail(mt, "has something else than a booking date (MMDD)");
        }
        at += 4;
    }
    if (!read_mark(mt, &at, &credit, &reversal)) {
        return false;
    }
    const size_t digits = strspn(mt->field + at, "0123456789,");
    if (!builder_amount(mt->builder, mt->field + at, digits, mt->field_line,
                        ":61:", &line->amount)) {
        return false;
    }
    at += digits;
    line->amount = credit ? line->amount : -line->amount;
    line->reversal = reversal;
    if (mt->length - at < 4 || strchr("NFS", mt->field[at]) == NULL) {
        return fail(mt, "has no transaction type");
    }
    mt->line_open = true;
    return read_line_references(mt, line, mt->field + at + 4);
}

/* ---- :86: ---- */

/* The subfields ?20 to ?29 and ?60 to ?63 joined; all of it when there are none. */
static size_t join_purpose(const char *text, char purpose[static FIELD_MAX + 1]) {
    size_t used = 0;
    const char *field = strchr(text, '?');
    if (field == NULL || field - text > 4) {
        for (const char *c = text; *c != '\0'; c++) {
            if (*c != '\n') {
                purpose[used++] = *c;
            }
        }
        purpose[used] = '\0';
        return used;
    }
    while (field != NULL) {
        const char *next = strchr(field + 1, '?');
        const char *stop = next == NULL ? field + strlen(field) : next;
        const bool wanted = stop - field > 3 && (field[1] == '2' || field[1] == '6');
        for (const char *c = field + 3; wanted && c < stop; c++) {
            if (*c != '\n') {
                purpose[used++] = *c;
            }
        }
        field = next;
    }
    purpose[used] = '\0';
    return used;
}

/* Where the text behind "EREF+" ends: at the next four capitals and a plus. */
static size_t keyword_length(const char *text) {
    size_t length = 0;
    for (; text[length] != '\0'; length++) {
        const size_t capitals = strspn(text + length, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
        if (capitals == 4 && text[length + 4] == '+') {
            break;
        }
    }
    return length;
}

static bool read_keyword(struct mt940 *mt, struct statement_line *line, const char *purpose,
                         const char *plus, const char *slash) {
    const char *found = strstr(purpose, plus);
    if (found != NULL) {
        found += strlen(plus);
        return builder_reference(mt->builder, line, found, keyword_length(found), mt->field_line,
                                 ":86:");
    }
    found = strstr(purpose, slash);
    if (found != NULL) {
        found += strlen(slash);
        return builder_reference(mt->builder, line, found, strcspn(found, "/"), mt->field_line,
                                 ":86:");
    }
    return true;
}

static bool read_information(struct mt940 *mt) {
    char purpose[FIELD_MAX + 1];
    if (!mt->line_open) {
        return true; /* of the statement as a whole */
    }
    struct statement *statement = mt->builder->current;
    struct statement_line *line = &statement->lines[statement->line_count - 1];
    const size_t length = join_purpose(mt->field, purpose);
    line->text = builder_text(mt->builder, purpose, length);
    const char *name = strstr(mt->field, "?32");
    if (name != NULL) {
        line->counterparty = builder_text(mt->builder, name + 3, strcspn(name + 3, "?"));
    }
    mt->line_open = false;
    return read_keyword(mt, line, purpose, "EREF+", "/EREF/") &&
           read_keyword(mt, line, purpose, "KREF+", "/KREF/");
}

/* ---- messages ---- */

static bool read_reference(struct mt940 *mt) {
    if (mt->balance_open) {
        return fail(mt, "begins before the message before has its closing balance");
    }
    if (mt->length == 0 || mt->length >= sizeof(mt->reference)) {
        return fail(mt, "is not a reference of at most 16 characters");
    }
    memcpy(mt->reference, mt->field, mt->length + 1);
    return true;
}

static bool read_account(struct mt940 *mt) {
    if (mt->length >= sizeof(mt->account)) {
        return fail(mt, "is not an account number");
    }
    if (mt->page_closed && strcmp(mt->account, mt->field) != 0) {
        return fail(mt, "is another account than on the page before");
    }
    memcpy(mt->account, mt->field, mt->length + 1);
    return true;
}

/* number [/ page] */
static bool read_number(struct mt940 *mt) {
    const size_t first = strspn(mt->field, "0123456789");
    int number = 0, page = 1;
    if (first == 0 || first > 5 || !builder_digits(mt->field, first, &number)) {
        return fail(mt, "is not a statement number");
    }
    if (mt->field[first] == '/') {
        const size_t rest = mt->length - first - 1;
        if (rest == 0 || rest > 5 || !builder_digits(mt->field + first + 1, rest, &page)) {
            return fail(mt, "is not a statement number and a page");
        }
    } else if (mt->field[first] != '\0') {
        return fail(mt, "is not a statement number");
    }
    if (mt->page_closed && (number != mt->number || page != mt->page + 1)) {
        return fail(mt, "is not the page that must follow");
    }
    mt->number = number;
    mt->page = page;
    return true;
}

static bool read_field(struct mt940 *mt) {
    static const struct {
        const char *tag;
        bool (*read)(struct mt940 *mt);
    } fields[] = {
        {"20", read_reference},   {"25", read_account},  {"25P", read_account}, {"28", read_number},
        {"28C", read_number},     {"60F", read_opening}, {"60M", read_opening}, {"61", read_line},
        {"86", read_information}, {"62F", read_closing}, {"62M", read_closing},
    };
    for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++) {
        if (strcmp(mt->tag, fields[i].tag) == 0) {
            return fields[i].read(mt);
        }
    }
    return true; /* :21:, :64:, :65: and what banks add */
}

bool mt940_read(struct builder *builder, const char *bytes, size_t length) {
    struct mt940 mt = {.builder = builder, .at = bytes, .end = bytes + length};
    if (memchr(bytes, '\0', length) != NULL) {
        return builder_fail(builder, 0, "file", "has a NUL byte");
    }
    if (length >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0) {
        mt.at += 3;
    }
    while (take_field(&mt)) {
        if (!read_field(&mt)) {
            return false;
        }
    }
    if (!builder->failed && (mt.balance_open || mt.page_closed)) {
        return builder_fail(builder, mt.line, ":62F:", "is missing at the end of the file");
    }
    return !builder->failed;
}
