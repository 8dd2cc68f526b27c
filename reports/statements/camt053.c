/*
 * camt.053, the bank-to-customer statement of ISO 20022, versions 001.02 and 001.08.
 *
 * Design: the reader collects what belongs to a balance, a detail (TxDtls) or an entry (Ntry) while
 * it is open, and uses it at its end.  An entry with several details that all have an amount, and
 * whose amounts make the entry's, becomes one line per detail: each has its own references.  Else
 * it is one line.  Entries that are not booked are counted, but are no lines.  The two versions
 * differ in where a status, a party's name and a net amount stand; both places are known.
 */
#include <stdlib.h>
#include <string.h>

#include "reports/statements/builder.h"
#include "reports/statements/markup.h"
#include "service_kit/memory.h"

#define DETAILS_MAX 20000

struct detail {
    struct statement_line line; /* amount 0: not stated */
    bool debit, direction_stated;
};

struct balance {
    char code[8];
    money_minor amount;
    bool debit;
    int32_t on;
};

/* What a summary says, and what was counted. */
struct summary {
    int64_t count, credit_count, debit_count; /* -1: not stated */
    money_minor sum, credit_sum, debit_sum;
    bool sum_stated, credit_sum_stated, debit_sum_stated;
};

struct camt {
    struct builder *builder;
    unsigned line;
    bool statement_open, detail_open;
    bool opening_found, opening_exact, closing_found;
    int32_t from;
    struct balance balance;
    struct detail entry, detail;
    struct detail *details;
    size_t detail_count, detail_room;
    bool booked, status_stated, foreign; /* foreign: the detail's amount is in another currency */
    unsigned entry_line;
    struct summary stated, counted;
};

struct place {
    const char *path;
    bool (*read)(struct camt *camt, const char *text, size_t length);
};

static bool fail(struct camt *camt, const char *field, const char *reason) {
    return builder_fail(camt->builder, camt->line, field, reason);
}

static struct detail *innermost(struct camt *camt) {
    return camt->detail_open ? &camt->detail : &camt->entry;
}

/* ---- the statement ---- */

static bool read_id(struct camt *camt, const char *text, size_t length) {
    camt->builder->current->reference = builder_text(camt->builder, text, length);
    return true;
}

static bool read_sequence(struct camt *camt, const char *text, size_t length) {
    int sequence;
    if (length > 9 || !builder_digits(text, length, &sequence)) {
        return length > 9 || fail(camt, "Stmt/ElctrncSeqNb", "is not a number");
    }
    camt->builder->current->sequence = sequence;
    return true;
}

static bool read_account(struct camt *camt, const char *text, size_t length) {
    camt->builder->current->account = builder_text(camt->builder, text, length);
    return true;
}

static bool read_account_currency(struct camt *camt, const char *text, size_t length) {
    return builder_currency(camt->builder, text, length, camt->line, "Acct/Ccy");
}

static bool read_from(struct camt *camt, const char *text, size_t length) {
    return builder_date(camt->builder, text, length, true, camt->line, "FrToDt", &camt->from);
}

/* ---- balances ---- */

static bool read_balance_code(struct camt *camt, const char *text, size_t length) {
    if (length >= sizeof(camt->balance.code)) {
        return fail(camt, "Bal/Tp", "is not a code");
    }
    memcpy(camt->balance.code, text, length);
    camt->balance.code[length] = '\0';
    return true;
}

static bool read_balance_amount(struct camt *camt, const char *text, size_t length) {
    return builder_amount(camt->builder, text, length, camt->line, "Bal/Amt",
                          &camt->balance.amount);
}

static bool read_direction(struct camt *camt, const char *text, size_t length, bool *debit) {
    if (length != 4 || (memcmp(text, "CRDT", 4) != 0 && memcmp(text, "DBIT", 4) != 0)) {
        return fail(camt, "CdtDbtInd", "is neither CRDT nor DBIT");
    }
    *debit = text[0] == 'D';
    return true;
}

static bool read_balance_direction(struct camt *camt, const char *text, size_t length) {
    return read_direction(camt, text, length, &camt->balance.debit);
}

static bool read_balance_date(struct camt *camt, const char *text, size_t length) {
    return builder_date(camt->builder, text, length, true, camt->line, "Bal/Dt", &camt->balance.on);
}

/* OPBD opens; where a bank has none, PRCD, the closing balance before, does. */
static bool end_balance(struct camt *camt) {
    struct statement *statement = camt->builder->current;
    const struct balance *balance = &camt->balance;
    const money_minor amount = balance->debit ? -balance->amount : balance->amount;
    const bool exact = strcmp(balance->code, "OPBD") == 0;
    if (exact || (strcmp(balance->code, "PRCD") == 0 && !camt->opening_exact)) {
        if (exact && camt->opening_exact) {
            return fail(camt, "Bal", "there are two opening balances");
        }
        camt->opening_found = true;
        camt->opening_exact = exact;
        statement->opening = amount;
        statement->opened_on = balance->on;
    } else if (strcmp(balance->code, "CLBD") == 0) {
        if (camt->closing_found) {
            return fail(camt, "Bal", "there are two closing balances");
        }
        camt->closing_found = true;
        statement->closing = amount;
        statement->closed_on = balance->on;
    }
    return true;
}

/* ---- summaries ---- */

static bool read_count(struct camt *camt, const char *text, size_t length, int64_t *count) {
    int value;
    if (length > 9 || !builder_digits(text, length, &value)) {
        return fail(camt, "TxsSummry/NbOfNtries", "is not a number");
    }
    *count = value;
    return true;
}

static bool read_total(struct camt *camt, const char *text, size_t length, money_minor *sum,
                       bool *stated) {
    *stated = true;
    return builder_amount(camt->builder, text, length, camt->line, "TxsSummry/Sum", sum);
}

static bool read_all_count(struct camt *camt, const char *text, size_t length) {
    return read_count(camt, text, length, &camt->stated.count);
}
static bool read_all_sum(struct camt *camt, const char *text, size_t length) {
    return read_total(camt, text, length, &camt->stated.sum, &camt->stated.sum_stated);
}
static bool read_credit_count(struct camt *camt, const char *text, size_t length) {
    return read_count(camt, text, length, &camt->stated.credit_count);
}
static bool read_credit_sum(struct camt *camt, const char *text, size_t length) {
    return read_total(camt, text, length, &camt->stated.credit_sum,
                      &camt->stated.credit_sum_stated);
}
static bool read_debit_count(struct camt *camt, const char *text, size_t length) {
    return read_count(camt, text, length, &camt->stated.debit_count);
}
static bool read_debit_sum(struct camt *camt, const char *text, size_t length) {
    return read_total(camt, text, length, &camt->stated.debit_sum, &camt->stated.debit_sum_stated);
}

static bool check_summary(struct camt *camt) {
    const struct summary *stated = &camt->stated, *counted = &camt->counted;
    money_minor sum;
    if ((stated->count >= 0 && stated->count != counted->count) ||
        (stated->credit_count >= 0 && stated->credit_count != counted->credit_count) ||
        (stated->debit_count >= 0 && stated->debit_count != counted->debit_count)) {
        return fail(camt, "TxsSummry/NbOfNtries", "is not the number of entries");
    }
    if ((stated->credit_sum_stated && stated->credit_sum != counted->credit_sum) ||
        (stated->debit_sum_stated && stated->debit_sum != counted->debit_sum) ||
        (stated->sum_stated &&
         (!money_add(counted->credit_sum, counted->debit_sum, &sum) || stated->sum != sum))) {
        return fail(camt, "TxsSummry/Sum", "is not the sum of the entries");
    }
    return true;
}

/* ---- entries ---- */

static bool read_amount(struct camt *camt, const char *text, size_t length) {
    if (camt->detail_open && camt->foreign) {
        return true;
    }
    return builder_amount(camt->builder, text, length, camt->line,
                          camt->detail_open ? "TxDtls/Amt" : "Ntry/Amt",
                          &innermost(camt)->line.amount);
}

static bool read_entry_direction(struct camt *camt, const char *text, size_t length) {
    innermost(camt)->direction_stated = true;
    return read_direction(camt, text, length, &innermost(camt)->debit);
}

static bool read_reversal(struct camt *camt, const char *text, size_t length) {
    const bool yes = (length == 4 && memcmp(text, "true", 4) == 0) || (length == 1 && *text == '1');
    const bool no = (length == 5 && memcmp(text, "false", 5) == 0) || (length == 1 && *text == '0');
    camt->entry.line.reversal = yes;
    return yes || no || fail(camt, "Ntry/RvslInd", "is neither true nor false");
}

static bool read_status(struct camt *camt, const char *text, size_t length) {
    const char *status = builder_text(camt->builder, text, length);
    if (status[0] != '\0') { /* 001.08 has the code in an element of its own */
        camt->status_stated = true;
        camt->booked = strcmp(status, "BOOK") == 0;
    }
    return true;
}

static bool read_booked(struct camt *camt, const char *text, size_t length) {
    return builder_date(camt->builder, text, length, true, camt->line, "Ntry/BookgDt",
                        &camt->entry.line.booked_on);
}

static bool read_value(struct camt *camt, const char *text, size_t length) {
    return builder_date(camt->builder, text, length, true, camt->line, "Ntry/ValDt",
                        &camt->entry.line.value_on);
}

static bool read_bank_reference(struct camt *camt, const char *text, size_t length) {
    if (length > STATEMENT_REFERENCE_MAX) {
        return fail(camt, "AcctSvcrRef", "is longer than 140 bytes");
    }
    innermost(camt)->line.bank_reference = builder_text(camt->builder, text, length);
    return true;
}

static bool read_reference(struct camt *camt, const char *text, size_t length) {
    return builder_reference(camt->builder, &innermost(camt)->line, text, length, camt->line,
                             "TxDtls/Refs");
}

static bool read_party(struct camt *camt, const char *text, size_t length) {
    /* Of debtor and creditor the other one is the counterparty; the account's holder is seldom
     * named, so the last name that stands there is taken for a debit, the first for a credit. */
    struct statement_line *line = &innermost(camt)->line;
    if (line->counterparty[0] == '\0' || camt->entry.debit) {
        line->counterparty = builder_text(camt->builder, text, length);
    }
    return true;
}

static bool read_remittance(struct camt *camt, const char *text, size_t length) {
    struct statement_line *line = &innermost(camt)->line;
    if (line->text[0] == '\0') {
        line->text = builder_text(camt->builder, text, length);
    }
    return true;
}

#define STMT   "/Document/BkToCstmrStmt/Stmt"
#define NTRY   STMT "/Ntry"
#define TXDTLS NTRY "/NtryDtls/TxDtls"
#define SUMMRY STMT "/TxsSummry"

static const struct place PLACES[] = {
    {STMT "/Id", read_id},
    {STMT "/ElctrncSeqNb", read_sequence},
    {STMT "/FrToDt/FrDtTm", read_from},
    {STMT "/Acct/Id/IBAN", read_account},
    {STMT "/Acct/Id/Othr/Id", read_account},
    {STMT "/Acct/Ccy", read_account_currency},
    {STMT "/Bal/Tp/CdOrPrtry/Cd", read_balance_code},
    {STMT "/Bal/Amt", read_balance_amount},
    {STMT "/Bal/CdtDbtInd", read_balance_direction},
    {STMT "/Bal/Dt/Dt", read_balance_date},
    {STMT "/Bal/Dt/DtTm", read_balance_date},
    {SUMMRY "/TtlNtries/NbOfNtries", read_all_count},
    {SUMMRY "/TtlNtries/Sum", read_all_sum},
    {SUMMRY "/TtlCdtNtries/NbOfNtries", read_credit_count},
    {SUMMRY "/TtlCdtNtries/Sum", read_credit_sum},
    {SUMMRY "/TtlDbtNtries/NbOfNtries", read_debit_count},
    {SUMMRY "/TtlDbtNtries/Sum", read_debit_sum},
    {NTRY "/Amt", read_amount},
    {NTRY "/CdtDbtInd", read_entry_direction},
    {NTRY "/RvslInd", read_reversal},
    {NTRY "/Sts", read_status},
    {NTRY "/Sts/Cd", read_status},
    {NTRY "/BookgDt/Dt", read_booked},
    {NTRY "/BookgDt/DtTm", read_booked},
    {NTRY "/ValDt/Dt", read_value},
    {NTRY "/ValDt/DtTm", read_value},
    {NTRY "/AcctSvcrRef", read_bank_reference},
    {NTRY "/AddtlNtryInf", read_remittance},
    {TXDTLS "/Amt", read_amount},
    {TXDTLS "/AmtDtls/TxAmt/Amt", read_amount},
    {TXDTLS "/CdtDbtInd", read_entry_direction},
    {TXDTLS "/Refs/EndToEndId", read_reference},
    {TXDTLS "/Refs/InstrId", read_reference},
    {TXDTLS "/Refs/TxId", read_reference},
    {TXDTLS "/Refs/AcctSvcrRef", read_bank_reference},
    {TXDTLS "/RltdPties/Dbtr/Nm", read_party},
    {TXDTLS "/RltdPties/Dbtr/Pty/Nm", read_party},
    {TXDTLS "/RltdPties/Cdtr/Nm", read_party},
    {TXDTLS "/RltdPties/Cdtr/Pty/Nm", read_party},
    {TXDTLS "/RmtInf/Ustrd", read_remittance},
    {TXDTLS "/RmtInf/Strd/CdtrRefInf/Ref", read_reference},
};

static struct detail new_detail(unsigned line) {
    return (struct detail){.line = {.booked_on = STATEMENT_NO_DATE,
                                    .value_on = STATEMENT_NO_DATE,
                                    .bank_reference = "",
                                    .counterparty = "",
                                    .text = "",
                                    .position = line}};
}

static bool end_detail(struct camt *camt) {
    camt->detail_open = false;
    if (camt->detail_count == DETAILS_MAX) {
        return fail(camt, "Ntry/NtryDtls", "has more than 20000 details");
    }
    if (camt->detail_count == camt->detail_room) {
        camt->detail_room = camt->detail_room == 0 ? 8 : camt->detail_room * 2;
        camt->details = memory_resize(camt->details, camt->detail_room * sizeof(*camt->details));
    }
    camt->details[camt->detail_count++] = camt->detail;
    return true;
}

/* Whether the details tell the whole entry: each has an amount, and they add up. */
static bool details_add_up(const struct camt *camt) {
    money_minor sum = 0;
    for (size_t i = 0; i < camt->detail_count; i++) {
        const struct detail *detail = &camt->details[i];
        const bool against = detail->direction_stated && detail->debit != camt->entry.debit;
        if (detail->line.amount == 0 ||
            !money_add(sum, against ? -detail->line.amount : detail->line.amount, &sum)) {
            return false;
        }
    }
    return camt->detail_count > 1 && sum == camt->entry.line.amount;
}

static bool add_line(struct camt *camt, const struct detail *detail) {
    struct statement_line *line = builder_line(camt->builder, camt->entry_line);
    if (line == NULL) {
        return false;
    }
    const struct statement_line *entry = &camt->entry.line;
    const bool debit = detail->direction_stated ? detail->debit : camt->entry.debit;
    *line = detail->line;
    line->position = camt->entry_line;
    line->amount = debit ? -detail->line.amount : detail->line.amount;
    line->booked_on = entry->booked_on;
    line->value_on = entry->value_on;
    line->reversal = entry->reversal;
    if (line->bank_reference[0] == '\0') {
        line->bank_reference = entry->bank_reference;
    }
    if (line->text[0] == '\0') {
        line->text = entry->text;
    }
    return true;
}

/* One line of the whole entry, with what its details tell, as far as there is room. */
static bool add_whole(struct camt *camt) {
    struct detail whole = camt->entry;
    whole.direction_stated = false;
    for (size_t i = 0; i < camt->detail_count; i++) {
        const struct statement_line *from = &camt->details[i].line;
        for (size_t k = 0; k < from->reference_count; k++) {
            if (!builder_reference(camt->builder, &whole.line, from->references[k],
                                   strlen(from->references[k]), camt->line, "TxDtls/Refs")) {
                return false;
            }
        }
        if (whole.line.bank_reference[0] == '\0') {
            whole.line.bank_reference = from->bank_reference;
        }
        if (whole.line.counterparty[0] == '\0') {
            whole.line.counterparty = from->counterparty;
        }
        if (from->text[0] != '\0' && i == 0) {
            whole.line.text = from->text;
        }
    }
    return add_line(camt, &whole);
}

static bool end_entry(struct camt *camt) {
    struct summary *counted = &camt->counted;
    if (!camt->entry.direction_stated) {
        return fail(camt, "Ntry/CdtDbtInd", "is missing");
    }
    if (!camt->status_stated) {
        return fail(camt, "Ntry/Sts", "is missing");
    }
    money_minor *sum = camt->entry.debit ? &counted->debit_sum : &counted->credit_sum;
    if (!money_add(*sum, camt->entry.line.amount, sum)) {
        return fail(camt, "Ntry/Amt", "makes the sum too large");
    }
    counted->count++;
    counted->debit_count += camt->entry.debit ? 1 : 0;
    counted->credit_count += camt->entry.debit ? 0 : 1;
    if (!camt->booked) {
        return true;
    }
    if (!details_add_up(camt)) {
        return add_whole(camt);
    }
    for (size_t i = 0; i < camt->detail_count; i++) {
        if (!add_line(camt, &camt->details[i])) {
            return false;
        }
    }
    return true;
}

static bool end_statement(struct camt *camt) {
    struct statement *statement = camt->builder->current;
    camt->statement_open = false;
    if (!camt->opening_found) {
        return fail(camt, "Bal", "there is no opening balance (OPBD)");
    }
    if (!camt->closing_found) {
        return fail(camt, "Bal", "there is no closing balance (CLBD)");
    }
    if (camt->from != STATEMENT_NO_DATE && camt->from <= statement->closed_on) {
        statement->opened_on = camt->from;
    }
    return check_summary(camt) && builder_finish(camt->builder);
}

/* ---- events ---- */

static bool on_open(void *owner, const char *path, const char *currency, unsigned line) {
    struct camt *camt = owner;
    camt->line = line;
    if (strcmp(path, STMT) == 0) {
        camt->statement_open = true;
        camt->opening_found = camt->opening_exact = camt->closing_found = false;
        camt->from = STATEMENT_NO_DATE;
        camt->stated = (struct summary){.count = -1, .credit_count = -1, .debit_count = -1};
        camt->counted = (struct summary){0};
        return builder_statement(camt->builder, line) != NULL;
    }
    if (!camt->statement_open) {
        return true;
    }
    if (strcmp(path, NTRY) == 0) {
        camt->entry = new_detail(line);
        camt->entry_line = line;
        camt->detail_count = 0;
        camt->booked = camt->status_stated = false;
    } else if (strcmp(path, TXDTLS) == 0) {
        camt->detail_open = true;
        camt->detail = new_detail(line);
    } else if (strcmp(path, STMT "/Bal") == 0) {
        camt->balance = (struct balance){.on = STATEMENT_NO_DATE};
    } else if (strcmp(path, TXDTLS "/Amt") == 0 || strcmp(path, TXDTLS "/AmtDtls/TxAmt/Amt") == 0) {
        camt->foreign = strcmp(currency, camt->builder->current->currency) != 0;
    } else if (strcmp(path, STMT "/Bal/Amt") == 0 || strcmp(path, NTRY "/Amt") == 0) {
        return builder_currency(camt->builder, currency, strlen(currency), line, "Amt/Ccy");
    }
    return true;
}

static bool on_close(void *owner, const char *path, const char *text, size_t length,
                     unsigned line) {
    struct camt *camt = owner;
    camt->line = line;
    if (!camt->statement_open) {
        return true;
    }
    if (strcmp(path, STMT) == 0) {
        return end_statement(camt);
    }
    if (strcmp(path, NTRY) == 0) {
        return end_entry(camt);
    }
    if (strcmp(path, TXDTLS) == 0) {
        return end_detail(camt);
    }
    if (strcmp(path, STMT "/Bal") == 0) {
        return end_balance(camt);
    }
    for (size_t i = 0; i < sizeof(PLACES) / sizeof(*PLACES); i++) {
        if (strcmp(path, PLACES[i].path) == 0) {
            while (length > 0 && (unsigned char)text[0] <= ' ') {
                text++;
                length--;
            }
            while (length > 0 && (unsigned char)text[length - 1] <= ' ') {
                length--;
            }
            return PLACES[i].read(camt, text, length);
        }
    }
    return true;
}

bool camt053_read(struct builder *builder, const char *bytes, size_t length) {
    struct camt camt = {.builder = builder};
    const struct markup_handler handler = {.open = on_open, .close = on_close, .owner = &camt};
    struct markup_error error;
    const bool read = markup_read(bytes, length, &handler, &error);
    free(camt.details);
    if (!read && error.reason != NULL) {
        return builder_fail(builder, error.line, "file", error.reason);
    }
    return read;
}
