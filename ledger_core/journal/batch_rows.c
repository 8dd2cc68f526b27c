/*
 * Design.  Every value is checked for what the engine relies on (lengths, ranges, known names), so
 * that rows which cannot be are found here and not as a wrong balance.
 */
#include "ledger_core/journal/batch_rows.h"

#include <string.h>

#include "ledger_core/engine/asset.h"
#include "ledger_core/journal/wire.h"

static bool get_uuid(const PGresult *rows, int row, int column, struct ledger_uuid *uuid) {
    if (PQgetisnull(rows, row, column) ||
        PQgetlength(rows, row, column) != (int)sizeof(uuid->bytes))
        return false;
    memcpy(uuid->bytes, PQgetvalue(rows, row, column), sizeof(uuid->bytes));
    return true;
}

static bool get_numeric(const PGresult *rows, int row, int column, money_minor *minor) {
    return !PQgetisnull(rows, row, column) &&
           wire_numeric_get(PQgetvalue(rows, row, column), PQgetlength(rows, row, column), minor);
}

static bool get_int64(const PGresult *rows, int row, int column, int64_t *value) {
    return !PQgetisnull(rows, row, column) &&
           wire_int64_get(PQgetvalue(rows, row, column), PQgetlength(rows, row, column), value);
}

/* The position of a text column's value among `names`, or -1. */
static int get_choice(const PGresult *rows, int row, int column, const char *const *names,
                      int count) {
    for (int i = 0; i < count; i++) {
        if (strcmp(PQgetvalue(rows, row, column), names[i]) == 0)
            return i;
    }
    return -1;
}

/* In the order of the enums. */
static const char *const CLASSES[] = {"asset", "liability", "equity", "income", "expense"};
static const char *const STATUSES[] = {"open", "frozen", "closed"};

bool batch_row_account(const PGresult *snapshots, const PGresult *rows, int row,
                       struct posting_account *account, struct account_row *known) {
    *account = (struct posting_account){0};
    struct ledger_uuid id;
    if (!get_uuid(rows, row, 0, &account->id) || !get_uuid(snapshots, row, 0, &id) ||
        memcmp(&id, &account->id, sizeof(id)) != 0)
        return false;
    account->has_owner = !PQgetisnull(rows, row, 1);
    if (account->has_owner && !get_uuid(rows, row, 1, &account->owner))
        return false;
    int asset_length = PQgetlength(rows, row, 2);
    if (asset_length <= 0 || asset_length > ASSET_CODE_MAX)
        return false;
    memcpy(account->asset, PQgetvalue(rows, row, 2), (size_t)asset_length);
    int32_t decimals;
    if (!wire_int32_get(PQgetvalue(rows, row, 3), PQgetlength(rows, row, 3), &decimals) ||
        decimals < 0 || decimals > MONEY_DECIMALS_MAX)
        return false;
    account->decimals = (uint8_t)decimals;
    int class = get_choice(rows, row, 4, CLASSES, 5);
    int status = get_choice(rows, row, 5, STATUSES, 3);
    if (class < 0 || status < 0)
        return false;
    account->class = (enum posting_class) class;
    account->status = (enum posting_status)status;
    account->has_floor = !PQgetisnull(rows, row, 6);
    if (account->has_floor && !get_numeric(rows, row, 6, &account->floor))
        return false;
    known->settlement = PQgetlength(rows, row, 7) == 1 && *PQgetvalue(rows, row, 7) == 1;
    if (PQgetlength(snapshots, row, 4) != WIRE_TID_SIZE)
        return false;
    memcpy(known->address, PQgetvalue(snapshots, row, 4), WIRE_TID_SIZE);
    if (!get_numeric(snapshots, row, 1, &account->posted) ||
        !get_numeric(snapshots, row, 2, &account->held) || account->held < 0 ||
        !get_int64(snapshots, row, 3, &account->entries) || account->entries < 0 ||
        !get_int64(snapshots, row, 5, &known->revision))
        return false;
    known->was_posted = account->posted;
    known->was_entries = account->entries;
    return true;
}

bool batch_row_priors(const PGresult *rows, size_t count, struct posting_prior *priors,
                      bool *prior) {
    memset(prior, 0, count * sizeof(*prior));
    for (int row = 0; row < PQntuples(rows); row++) {
        int64_t ordinal;
        if (!get_int64(rows, row, 0, &ordinal) || ordinal < 1 || (size_t)ordinal > count)
            return false;
        size_t i = (size_t)ordinal - 1;
        struct posting_prior *found = &priors[i];
        if (!get_uuid(rows, row, 1, &found->transaction_id) ||
            PQgetlength(rows, row, 2) != POSTING_DIGEST_SIZE)
            return false;
        memcpy(found->digest, PQgetvalue(rows, row, 2), POSTING_DIGEST_SIZE);
        found->has_balance = !PQgetisnull(rows, row, 3);
        if (found->has_balance && !get_numeric(rows, row, 3, &found->balance_after))
            return false;
        prior[i] = true;
    }
    return true;
}

bool batch_row_closed(const PGresult *rows, int64_t *closed_us) {
    *closed_us = INT64_MIN;
    if (PQntuples(rows) == 0)
        return true;
    return get_int64(rows, 0, 0, closed_us) &&
           !__builtin_add_overflow(*closed_us, WIRE_EPOCH_US, closed_us);
}
