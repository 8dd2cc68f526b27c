/*
 * export: the journal as a stream of transactions for a program outside: which rows there are, and
 * what a format does with them.
 *
 * Order: booking time, then id.  An account's entries come in the order of their numbers, so its
 * first entry (seq 1) tells that the account is new, and every running balance can be asserted.
 */
#ifndef PACIOLI_REPORTS_EXPORT_H
#define PACIOLI_REPORTS_EXPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ledger_core/engine/money.h"
#include "reports/output.h"
#include "service_kit/uuid.h"

#define EXPORT_UUID_TEXT (UUID_TEXT_LENGTH + 1)
#define EXPORT_DATE_TEXT 11
#define EXPORT_TIME_TEXT 32
#define EXPORT_PIECES    3

/* An account, and what every entry of it has in common in the format at hand. */
struct export_account {
    uint8_t id[UUID_SIZE];
    char id_text[EXPORT_UUID_TEXT];
    uint8_t decimals;
    char *texts; /* the memory of all that follows; NULL: no such account */
    const char *code, *class, *asset;
    struct {
        const char *bytes;
        size_t length;
    } pieces[EXPORT_PIECES];
    size_t currency; /* its place in the manifest, EXPORT_CURRENCY_UNKNOWN: not looked up */
    int64_t seq;     /* of its last entry seen in the range; 0: none */
    money_minor balance_after; /* behind that */
};
#define EXPORT_CURRENCY_UNKNOWN SIZE_MAX

/*
 * One entry with its account; texts end with NUL, NULL: not there.  The transaction is there with
 * its first entry, of the others its id and position alone.
 */
struct export_row {
    bool first; /* of its transaction */
    char transaction_id[EXPORT_UUID_TEXT];
    int64_t position; /* microseconds since 1970: the booking time */
    int64_t effective_us;
    const char *kind, *description, *reverses; /* reverses: a UUID in text */
    const char *principal, *idempotency_key, *metadata;
    char reverses_room[EXPORT_UUID_TEXT], principal_room[EXPORT_UUID_TEXT];
    struct export_account *account;
    int64_t seq;
    money_minor amount, balance_after;
};

struct export_format;

/* The last second that was written as text: most times are in the same one as those before. */
struct export_clock {
    int64_t second;
    char text[24]; /* empty: none yet */
};

/* An export that is being written. */
struct export {
    const struct export_format *format;
    struct output *output;
    const char *ledger_name;
    int64_t from, to;            /* positions; from included, to excluded */
    char date[EXPORT_DATE_TEXT]; /* of the transaction at hand */
    struct export_clock clock;
    struct output shared; /* memory, of the format: what all entries of a transaction begin with */
};

/* What a format writes; a NULL hook writes nothing. */
struct export_format {
    const char *name;
    bool details;  /* it also wants principal, key, metadata and effective time */
    bool openings; /* a range that does not begin at 0 needs the balances before it */
    bool closings; /* at its end it wants the last balance of every account */
    void (*begin)(struct export *export);
    /* A currency, an account, is used for the first time; before the transaction that does. */
    void (*currency)(struct export *export, const struct export_account *account);
    void (*account)(struct export *export, const struct export_account *account);
    /* What stands between the numbers of an entry, number 0 to EXPORT_PIECES - 1; once an account.
     */
    void (*piece)(struct output *output, const struct export_account *account, int number);
    /* The balance that an account brings into the range, in balance_after. */
    void (*opening)(struct export *export, const struct export_row *row);
    void (*transaction)(struct export *export, const struct export_row *row);
    void (*entry)(struct export *export, const struct export_row *row);
    void (*transaction_end)(struct export *export);
    /* The balance that an account has at the end, in balance_after. */
    void (*closing)(struct export *export, const struct export_row *row);
};

extern const struct export_format EXPORT_HLEDGER, EXPORT_LEDGER, EXPORT_BEANCOUNT;
extern const struct export_format EXPORT_CSV, EXPORT_JSONL;

/* ---- export_text.c ---- */

/* "2026-11-25" and "2026-11-25T12:00:00.000000Z" of a time; years 1 to 9999. */
void export_date(int64_t time_us, char text[static EXPORT_DATE_TEXT]);
void export_time(struct export_clock *clock, int64_t time_us, char text[static EXPORT_TIME_TEXT]);
/*
 * Free text for the formats of plain-text accounting: whatever could be read as syntax is written
 * as %XX, byte by byte, and % itself too, so that the text can be had back.
 */
void export_escaped(struct output *output, const char *text);
/* An account's code as a name of hledger and ledger: the code itself where it can be. */
void export_account_name(struct output *output, const struct export_account *account);
/* The same for beancount, below the root of its class. */
void export_beancount_name(struct output *output, const struct export_account *account);
/* The amount with all decimals of its currency. */
void export_amount(struct output *output, money_minor minor, uint8_t decimals);
/* The account's piece of that number. */
static inline void export_piece(struct output *output, const struct export_account *account,
                                int number) {
    output_bytes(output, account->pieces[number].bytes, account->pieces[number].length);
}

#endif
