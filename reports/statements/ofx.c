/*
 * OFX, versions 1 (SGML) and 2 (XML): bank and credit card statements.
 *
 * Design: both versions become the same events, a name opened and a name closed with its text; OFX
 * 2 through markup.c, OFX 1 through the small tokenizer here, for which a tag with text behind it
 * is closed by the next tag.  What a value means depends on its name and the aggregate around it
 * alone.  OFX has no opening balance (it is counted back from LEDGERBAL) and no id of a statement
 * (the dates of its list of transactions are taken).  FITID is unique in a file, or it is refused.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reports/statements/builder.h"
#include "reports/statements/markup.h"
#include "service_kit/memory.h"

#define NAME_MAX_BYTES  32
#define VALUE_MAX_BYTES 2048

struct ofx {
    struct builder *builder;
    unsigned line;
    bool statement_open, in_line, in_account, in_balance;
    bool closing_found;
    char from[9], to[9]; /* YYYYMMDD of the list, or "" */
    struct statement_line *current;
};

static bool fail(struct ofx *ofx, const char *field, const char *reason) {
    return builder_fail(ofx->builder, ofx->line, field, reason);
}

/* ---- values ---- */

static bool read_amount(struct ofx *ofx, const char *text, size_t length, const char *field,
                        money_minor *amount) {
    const bool minus = length > 0 && text[0] == '-';
    if (length > 0 && (text[0] == '-' || text[0] == '+')) {
        text++;
        length--;
    }
    if (!builder_amount(ofx->builder, text, length, ofx->line, field, amount)) {
        return false;
    }
    *amount = minus ? -*amount : *amount;
    return true;
}

static bool read_date(struct ofx *ofx, const char *text, size_t length, const char *field,
                      int32_t *day) {
    return builder_date(ofx->builder, text, length, false, ofx->line, field, day);
}

static bool keep_list_date(struct ofx *ofx, const char *text, size_t length, const char *field,
                           char kept[static 9]) {
    int32_t day;
    if (!read_date(ofx, text, length, field, &day)) {
        return false;
    }
    memcpy(kept, text, 8);
    kept[8] = '\0';
    return true;
}

static bool read_of_line(struct ofx *ofx, const char *name, const char *text, size_t length) {
    struct statement_line *line = ofx->current;
    if (strcmp(name, "TRNAMT") == 0) {
        return read_amount(ofx, text, length, name, &line->amount);
    }
    if (strcmp(name, "DTPOSTED") == 0) {
        return read_date(ofx, text, length, name, &line->booked_on);
    }
    if (strcmp(name, "DTAVAIL") == 0) {
        return read_date(ofx, text, length, name, &line->value_on);
    }
    if (strcmp(name, "FITID") == 0) {
        line->bank_reference = builder_text(ofx->builder, text, length);
        return strlen(line->bank_reference) <= STATEMENT_REFERENCE_MAX ||
               fail(ofx, name, "is longer than 140 bytes");
    }
    if (strcmp(name, "CHECKNUM") == 0 || strcmp(name, "REFNUM") == 0 ||
        strcmp(name, "SRVRTID") == 0) {
        return builder_reference(ofx->builder, line, text, length, ofx->line, name);
    }
    if (strcmp(name, "NAME") == 0) {
        line->counterparty = builder_text(ofx->builder, text, length);
    } else if (strcmp(name, "MEMO") == 0) {
        line->text = builder_text(ofx->builder, text, length);
        /* Where a bank has no field for the payment's reference, the memo is it. */
        return length > STATEMENT_REFERENCE_MAX ||
               builder_reference(ofx->builder, line, text, length, ofx->line, name);
    } else if (strcmp(name, "CORRECTFITID") == 0) {
        return fail(ofx, name, "corrects an earlier line, which is not supported");
    }
    return true;
}

static bool read_of_statement(struct ofx *ofx, const char *name, const char *text, size_t length) {
    struct statement *statement = ofx->builder->current;
    if (strcmp(name, "CURDEF") == 0) {
        return builder_currency(ofx->builder, text, length, ofx->line, name);
    }
    if (ofx->in_account && strcmp(name, "ACCTID") == 0) {
        statement->account = builder_text(ofx->builder, text, length);
    } else if (ofx->in_balance && strcmp(name, "BALAMT") == 0) {
        ofx->closing_found = true;
        return read_amount(ofx, text, length, name, &statement->closing);
    } else if (ofx->in_balance && strcmp(name, "DTASOF") == 0) {
        return read_date(ofx, text, length, name, &statement->closed_on);
    } else if (strcmp(name, "DTSTART") == 0) {
        return keep_list_date(ofx, text, length, name, ofx->from);
    } else if (strcmp(name, "DTEND") == 0) {
        return keep_list_date(ofx, text, length, name, ofx->to);
    }
    return true;
}

/* ---- aggregates ---- */

static bool is_statement(const char *name) {
    return strcmp(name, "STMTRS") == 0 || strcmp(name, "CCSTMTRS") == 0;
}

static int compare_ids(const void *a, const void *b) {
    const struct statement_line *const *x = a, *const *y = b;
    return strcmp((*x)->bank_reference, (*y)->bank_reference);
}

static bool ids_are_unique(struct ofx *ofx) {
    const struct statement *statement = ofx->builder->current;
    const struct statement_line **lines =
        memory_allocate(statement->line_count, sizeof(const struct statement_line *));
    for (size_t i = 0; i < statement->line_count; i++) {
        lines[i] = &statement->lines[i];
    }
    qsort(lines, statement->line_count, sizeof(const struct statement_line *), compare_ids);
    bool unique = true;
    for (size_t i = 0; i < statement->line_count && unique; i++) {
        const char *id = lines[i]->bank_reference;
        unique = id[0] != '\0' && (i == 0 || strcmp(id, lines[i - 1]->bank_reference) != 0);
        if (!unique) {
            ofx->line = lines[i]->position;
        }
    }
    free(lines);
    return unique || fail(ofx, "FITID", "is missing, or stands there twice");
}

static bool end_statement(struct ofx *ofx) {
    struct statement *statement = ofx->builder->current;
    char name[24];
    ofx->statement_open = false;
    if (!ofx->closing_found) {
        return fail(ofx, "LEDGERBAL", "is missing");
    }
    if (ofx->from[0] == '\0' || ofx->to[0] == '\0') {
        return fail(ofx, "BANKTRANLIST", "has no DTSTART and DTEND");
    }
    const int length = snprintf(name, sizeof(name), "%s-%s", ofx->from, ofx->to);
    statement->reference = builder_text(ofx->builder, name, (size_t)length);
    statement->opening_derived = true;
    return builder_date(ofx->builder, ofx->from, 8, false, ofx->line, "DTSTART",
                        &statement->opened_on) &&
           ids_are_unique(ofx) && builder_finish(ofx->builder);
}

static bool open_name(struct ofx *ofx, const char *name) {
    if (is_statement(name)) {
        if (ofx->statement_open) {
            return fail(ofx, name, "begins within another one");
        }
        ofx->statement_open = true;
        ofx->closing_found = ofx->in_line = ofx->in_account = ofx->in_balance = false;
        ofx->from[0] = ofx->to[0] = '\0';
        return builder_statement(ofx->builder, ofx->line) != NULL;
    }
    if (!ofx->statement_open) {
        return true;
    }
    if (strcmp(name, "STMTTRN") == 0) {
        ofx->in_line = true;
        ofx->current = builder_line(ofx->builder, ofx->line);
        return ofx->current != NULL;
    }
    ofx->in_account |= strcmp(name, "BANKACCTFROM") == 0 || strcmp(name, "CCACCTFROM") == 0;
    ofx->in_balance |= strcmp(name, "LEDGERBAL") == 0;
    return true;
}

static bool close_name(struct ofx *ofx, const char *name, const char *text, size_t length) {
    if (!ofx->statement_open) {
        return true;
    }
    if (is_statement(name)) {
        return end_statement(ofx);
    }
    if (strcmp(name, "STMTTRN") == 0) {
        ofx->in_line = false;
    } else if (strcmp(name, "BANKACCTFROM") == 0 || strcmp(name, "CCACCTFROM") == 0) {
        ofx->in_account = false;
    } else if (strcmp(name, "LEDGERBAL") == 0) {
        ofx->in_balance = false;
    } else if (ofx->in_line) {
        return read_of_line(ofx, name, text, length);
    } else {
        return read_of_statement(ofx, name, text, length);
    }
    return true;
}

static void trim(const char **text, size_t *length) {
    while (*length > 0 && (unsigned char)**text <= ' ') {
        (*text)++;
        (*length)--;
    }
    while (*length > 0 && (unsigned char)(*text)[*length - 1] <= ' ') {
        (*length)--;
    }
}

/* ---- version 2 ---- */

static bool on_open(void *owner, const char *path, const char *currency, unsigned line) {
    struct ofx *ofx = owner;
    (void)currency;
    ofx->line = line;
    return open_name(ofx, strrchr(path, '/') + 1);
}

static bool on_close(void *owner, const char *path, const char *text, size_t length,
                     unsigned line) {
    struct ofx *ofx = owner;
    ofx->line = line;
    trim(&text, &length);
    return close_name(ofx, strrchr(path, '/') + 1, text, length);
}

static bool read_xml(struct ofx *ofx, const char *bytes, size_t length) {
    const struct markup_handler handler = {.open = on_open, .close = on_close, .owner = ofx};
    struct markup_error error;
    const bool read = markup_read(bytes, length, &handler, &error);
    if (!read && error.reason != NULL) {
        return builder_fail(ofx->builder, error.line, "file", error.reason);
    }
    return read;
}

/* ---- version 1 ---- */

struct sgml {
    const char *at, *end;
    unsigned line;
    char name[NAME_MAX_BYTES + 1];
    bool closing;
    char value[VALUE_MAX_BYTES + 1];
    size_t value_length;
};

static void count_lines(struct sgml *sgml, const char *to) {
    for (; sgml->at < to; sgml->at++) {
        sgml->line += *sgml->at == '\n' ? 1 : 0;
    }
}

/* "&amp;" and the like; an unknown one stays as it is written. */
static size_t decode_entity(const char *text, size_t available, char *byte) {
    static const struct {
        const char *text;
        char byte;
    } entities[] = {{"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&nbsp;", ' '}};
    for (size_t i = 0; i < sizeof(entities) / sizeof(*entities); i++) {
        const size_t length = strlen(entities[i].text);
        if (available >= length && memcmp(text, entities[i].text, length) == 0) {
            *byte = entities[i].byte;
            return length;
        }
    }
    *byte = *text;
    return 1;
}

static bool take_value(struct ofx *ofx, struct sgml *sgml) {
    const char *stop = memchr(sgml->at, '<', (size_t)(sgml->end - sgml->at));
    stop = stop == NULL ? sgml->end : stop;
    const char *text = sgml->at;
    size_t length = (size_t)(stop - text);
    trim(&text, &length);
    sgml->value_length = 0;
    for (size_t i = 0; i < length;) {
        if (sgml->value_length == VALUE_MAX_BYTES) {
            return fail(ofx, sgml->name, "is too long");
        }
        i += decode_entity(text + i, length - i, &sgml->value[sgml->value_length++]);
    }
    sgml->value[sgml->value_length] = '\0';
    count_lines(sgml, stop);
    return true;
}

/* <NAME>value or </NAME> */
static bool take_tag(struct ofx *ofx, struct sgml *sgml) {
    ofx->line = sgml->line;
    const char *start = sgml->at + 1;
    const char *stop = memchr(start, '>', (size_t)(sgml->end - start));
    sgml->closing = start < sgml->end && *start == '/';
    start += sgml->closing ? 1 : 0;
    if (stop == NULL || stop <= start || stop - start > NAME_MAX_BYTES) {
        return fail(ofx, "tag", "is not <NAME> or </NAME>");
    }
    const size_t length = (size_t)(stop - start);
    memcpy(sgml->name, start, length);
    sgml->name[length] = '\0';
    if (strspn(sgml->name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._") != length) {
        return fail(ofx, "tag", "is not <NAME> or </NAME>");
    }
    count_lines(sgml, stop + 1);
    return take_value(ofx, sgml);
}

static bool read_sgml(struct ofx *ofx, const char *bytes, size_t length) {
    struct sgml sgml = {.at = bytes, .end = bytes + length, .line = 1};
    const char *first = memchr(bytes, '<', length);
    count_lines(&sgml, first == NULL ? sgml.end : first);
    while (sgml.at < sgml.end) {
        if (!take_tag(ofx, &sgml)) {
            return false;
        }
        if (sgml.closing) {
            /* A leaf was closed at its value already; closing it again tells nothing. */
            static const char *const aggregates[] = {"STMTRS",       "CCSTMTRS",   "STMTTRN",
                                                     "BANKACCTFROM", "CCACCTFROM", "LEDGERBAL"};
            for (size_t i = 0; i < sizeof(aggregates) / sizeof(*aggregates); i++) {
                if (strcmp(sgml.name, aggregates[i]) == 0 && !close_name(ofx, sgml.name, "", 0)) {
                    return false;
                }
            }
        } else if (!open_name(ofx, sgml.name) ||
                   (sgml.value_length > 0 &&
                    !close_name(ofx, sgml.name, sgml.value, sgml.value_length))) {
            return false;
        }
    }
    return true;
}

bool ofx_read(struct builder *builder, const char *bytes, size_t length) {
    struct ofx ofx = {.builder = builder};
    const size_t head = length < 1024 ? length : 1024;
    const bool xml = memmem(bytes, head, "<?xml", 5) != NULL || length < 2 ||
                     memmem(bytes, head, "<?OFX", 5) != NULL || (bytes[0] & 0xfe) == 0xfe;
    if (!xml && memchr(bytes, '\0', length) != NULL) {
        return builder_fail(builder, 0, "file", "has a NUL byte");
    }
    if (!(xml ? read_xml(&ofx, bytes, length) : read_sgml(&ofx, bytes, length))) {
        return false;
    }
    if (ofx.statement_open) {
        return fail(&ofx, "STMTRS", "does not end");
    }
    return !builder->failed;
}
