/*
 * Design.  A row of the journal that carried its account's code would be twice as long, for the
 * server's sort too.  So rows come in windows; the accounts of a window that are not known are
 * asked for with one query, by key, and what a format writes about an account is written once.  A
 * hash table with linear probing; an account that was wanted has its place there before it is
 * known. Memory is bounded by forgetting all at once, which is rare as long as the accounts that
 * move often are fewer than what is remembered.
 */
#include "reports/export_accounts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "service_kit/memory.h"

#define BYTES_MAX (24U << 20)
#define COLUMNS   5

bool export_accounts_open(struct export_accounts *accounts, struct source *source,
                          const struct export_format *format, size_t remember) {
    size_t slots = 1;
    while (slots < 2 * (remember + EXPORT_ACCOUNTS_WANTED_MAX))
        slots *= 2;
    *accounts = (struct export_accounts){
        .format = format,
        .remember = remember,
        .slots = memory_allocate(slots, sizeof(struct export_account *)),
        .slot_mask = slots - 1,
    };
    output_to_memory(&accounts->pieces, BYTES_MAX);
    return source_open_beside(source, &accounts->source);
}

bool export_accounts_follow(struct export_accounts *accounts, struct source *source) {
    source_close(&accounts->source);
    return source_open_beside(source, &accounts->source);
}

static void forget_all(struct export_accounts *accounts) {
    for (size_t i = 0; accounts->count > 0 && i <= accounts->slot_mask; i++) {
        struct export_account *account = accounts->slots[i];
        if (account == NULL)
            continue;
        accounts->forgotten = accounts->forgotten || account->seq > 0;
        free(account->texts);
        free(account);
        accounts->slots[i] = NULL;
        accounts->count--;
    }
    accounts->bytes = 0;
}

void export_accounts_free(struct export_accounts *accounts) {
    if (accounts->slots != NULL)
        forget_all(accounts);
    free(accounts->slots);
    wire_array_free(&accounts->wanted);
    output_free(&accounts->pieces);
    source_close(&accounts->source);
}

void export_accounts_tidy(struct export_accounts *accounts) {
    if (accounts->count > accounts->remember || accounts->bytes > BYTES_MAX)
        forget_all(accounts);
}

/* Where it is, or would be. */
static struct export_account **slot_of(const struct export_accounts *accounts,
                                       const uint8_t id[static UUID_SIZE]) {
    uint64_t halves[2];
    memcpy(halves, id, UUID_SIZE);
    uint64_t hash = (halves[0] ^ halves[1]) * 0x9E3779B97F4A7C15U;
    for (size_t at = hash >> 32;; at++) {
        struct export_account **slot = &accounts->slots[at & accounts->slot_mask];
        if (*slot == NULL || memcmp((*slot)->id, id, UUID_SIZE) == 0)
            return slot;
    }
}

void export_accounts_want(struct export_accounts *accounts, const uint8_t id[static UUID_SIZE]) {
    struct export_account **slot = slot_of(accounts, id);
    if (*slot != NULL)
        return;
    struct ledger_uuid wanted;
    struct export_account *account = memory_allocate(1, sizeof(*account));
    memcpy(account->id, id, UUID_SIZE);
    memcpy(wanted.bytes, id, UUID_SIZE);
    uuid_format(id, account->id_text);
    account->currency = EXPORT_CURRENCY_UNKNOWN;
    *slot = account;
    accounts->count++;
    accounts->bytes += sizeof(*account);
    if (accounts->wanted.count == 0)
        wire_array_begin(&accounts->wanted, WIRE_UUID);
    wire_array_uuid(&accounts->wanted, &wanted);
}

struct export_account *export_accounts_find(const struct export_accounts *accounts,
                                            const uint8_t id[static UUID_SIZE]) {
    struct export_account *account = *slot_of(accounts, id);
    return account == NULL || account->texts == NULL ? NULL : account;
}

/* ---- from the database ---- */

/* Its texts, one behind the other in one piece of memory, and the format's pieces behind them. */
static void keep_texts(struct export_accounts *accounts, struct export_account *account,
                       const char *const texts[3]) {
    size_t lengths[3], length = 0;
    for (int i = 0; i < 3; i++)
        length += lengths[i] = strlen(texts[i]) + 1;
    account->code = texts[0];
    account->class = texts[1];
    account->asset = texts[2];
    struct output *pieces = &accounts->pieces;
    size_t ends[EXPORT_PIECES] = {0};
    pieces->length = 0;
    for (int i = 0; i < EXPORT_PIECES && accounts->format->piece != NULL; i++) {
        accounts->format->piece(pieces, account, i);
        ends[i] = pieces->length;
    }
    char *room = memory_allocate(1, length + pieces->length), *at = room;
    accounts->bytes += length + pieces->length;
    for (int i = 0; i < 3; i++) {
        memcpy(at, texts[i], lengths[i]);
        at += lengths[i];
    }
    account->texts = room;
    account->code = room;
    account->class = room + lengths[0];
    account->asset = room + lengths[0] + lengths[1];
    if (pieces->length > 0)
        memcpy(at, pieces->bytes, pieces->length);
    for (int i = 0; i < EXPORT_PIECES; i++) {
        size_t begin = i == 0 ? 0 : ends[i - 1];
        account->pieces[i].bytes = at + begin;
        account->pieces[i].length = ends[i] - begin;
    }
}

static bool keep(struct export_accounts *accounts, const PGresult *rows, int row) {
    int32_t decimals = 0;
    const char *const texts[] = {PQgetvalue(rows, row, 1), PQgetvalue(rows, row, 2),
                                 PQgetvalue(rows, row, 3)};
    if (PQgetlength(rows, row, 0) != UUID_SIZE ||
        !wire_int32_get(PQgetvalue(rows, row, 4), PQgetlength(rows, row, 4), &decimals) ||
        decimals < 0 || decimals > MONEY_DECIMALS_MAX)
        return false;
    struct export_account *account = *slot_of(accounts, (const uint8_t *)PQgetvalue(rows, row, 0));
    if (account == NULL || account->texts != NULL)
        return false;
    account->decimals = (uint8_t)decimals;
    keep_texts(accounts, account, texts);
    return true;
}

bool export_accounts_fetch(struct export_accounts *accounts) {
    if (accounts->wanted.count == 0)
        return true;
    char ledger_id[16];
    snprintf(ledger_id, sizeof(ledger_id), "%d", accounts->source.ledger_id);
    wire_array_end(&accounts->wanted);
    const char *const values[] = {(const char *)accounts->wanted.bytes, ledger_id};
    const int lengths[] = {(int)accounts->wanted.length, 0}, formats[] = {1, 0};
    PGresult *rows = PQexecParams(
        accounts->source.connection,
        "SELECT a.id, a.code, a.class, a.asset, s.decimals::integer FROM ledger.account a"
        " JOIN ledger.asset s ON s.ledger_id = a.ledger_id AND s.code = a.asset"
        " WHERE a.ledger_id = $2::integer AND a.id = ANY ($1::uuid[])",
        2, NULL, values, lengths, formats, 1);
    bool good = PQresultStatus(rows) == PGRES_TUPLES_OK && PQnfields(rows) == COLUMNS;
    if (!good)
        source_complain("the database refuses: %s", PQerrorMessage(accounts->source.connection));
    for (int row = 0; good && row < PQntuples(rows); row++) {
        good = keep(accounts, rows, row);
        if (!good)
            source_complain("the database sent accounts of an unexpected form");
    }
    PQclear(rows);
    accounts->wanted.count = 0;
    return good;
}

/* ---- those that moved ---- */

static int by_code(const void *a, const void *b) {
    return strcmp((*(struct export_account *const *)a)->code,
                  (*(struct export_account *const *)b)->code);
}

struct export_account **export_accounts_moved(const struct export_accounts *accounts,
                                              size_t *count) {
    struct export_account **moved =
        memory_allocate(accounts->count, sizeof(struct export_account *));
    *count = 0;
    for (size_t i = 0; i <= accounts->slot_mask; i++) {
        if (accounts->slots[i] != NULL && accounts->slots[i]->seq > 0)
            moved[(*count)++] = accounts->slots[i];
    }
    if (*count > 1)
        qsort(moved, *count, sizeof(struct export_account *), by_code);
    return moved;
}
