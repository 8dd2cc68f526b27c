/*
 * Pure functions over typed rows.  What a viewer may see of an entry on someone else's account is
 * decided in one place, write_entry: which account, how much and which way, never its balance.
 */
#include "wallet_api/present.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "service_kit/uuid.h"

void present_time(int64_t unix_us, char text[static PRESENT_TIME_MAX]) {
    int64_t microseconds = unix_us % 1000000;
    int64_t seconds = unix_us / 1000000;
    if (microseconds < 0) {
        microseconds += 1000000;
        seconds--;
    }
    time_t clock = (time_t)seconds;
    struct tm broken_down;
    text[0] = '\0';
    if (gmtime_r(&clock, &broken_down) == NULL) {
        return;
    }
    size_t length =
        strftime(text, PRESENT_TIME_MAX - sizeof ".000000Z", "%Y-%m-%dT%H:%M:%S", &broken_down);
    if (length > 0) {
        snprintf(text + length, sizeof ".000000Z", ".%06uZ", (unsigned)microseconds % 1000000);
    }
}

static void write_uuid(struct json_writer *writer, const char *name,
                       const struct ledger_uuid *uuid) {
    char text[UUID_TEXT_LENGTH + 1];
    uuid_format(uuid->bytes, text);
    json_write_key(writer, name);
    json_write_text(writer, text, UUID_TEXT_LENGTH);
}

static void write_money(struct json_writer *writer, const char *name, money_minor minor,
                        uint8_t decimals) {
    char text[MONEY_TEXT_MAX];
    size_t length = money_format(minor, decimals, text);
    json_write_key(writer, name);
    json_write_text(writer, text, length);
}

static void write_time(struct json_writer *writer, const char *name, int64_t unix_us) {
    char text[PRESENT_TIME_MAX];
    present_time(unix_us, text);
    json_write_member(writer, name, text);
}

static void write_account_members(struct json_writer *writer,
                                  const struct reader_account *account) {
    write_uuid(writer, "id", &account->id);
    write_uuid(writer, "user_id", &account->owner);
    write_money(writer, "balance", posting_own_side(account->class, account->posted),
                account->decimals);
}

void present_account(struct json_writer *writer, const struct reader_account *account) {
    json_write_object_begin(writer);
    write_account_members(writer, account);
    json_write_member(writer, "currency", account->asset);
    json_write_object_end(writer);
}

static const char *status_name(enum posting_status status) {
    switch (status) {
    case POSTING_OPEN:
        return "open";
    case POSTING_FROZEN:
        return "frozen";
    case POSTING_CLOSED:
        break;
    }
    return "closed";
}

void present_account_in_full(struct json_writer *writer, const struct reader_account *account) {
    const struct posting_account snapshot = {
        .class = account->class, .posted = account->posted, .held = account->held};
    json_write_object_begin(writer);
    write_account_members(writer, account);
    write_money(writer, "available", posting_available(&snapshot), account->decimals);
    write_money(writer, "held", account->held, account->decimals);
    json_write_member(writer, "currency", account->asset);
    json_write_member(writer, "status", status_name(account->status));
    write_time(writer, "created_at", account->created_at_us);
    json_write_object_end(writer);
}

/* The type of a line as its account saw it. */
static const char *line_type(enum reader_kind kind, money_minor own_amount) {
    switch (kind) {
    case READER_DEPOSIT:
        return "DEPOSIT";
    case READER_WITHDRAW:
        return "WITHDRAW";
    case READER_TRANSFER:
        return own_amount < 0 ? "TRANSFER_OUT" : "TRANSFER_IN";
    case READER_REVERSAL:
        return "REVERSAL";
    case READER_ADJUSTMENT:
        break;
    }
    return "ADJUSTMENT";
}

void present_line(struct json_writer *writer, const struct reader_account *account,
                  const struct reader_line *line) {
    money_minor own_amount = posting_own_side(account->class, line->amount);
    json_write_object_begin(writer);
    write_uuid(writer, "id", &line->transaction_id);
    write_uuid(writer, "account_id", &account->id);
    write_money(writer, "amount", own_amount, account->decimals);
    json_write_member(writer, "type", line_type(line->kind, own_amount));
    write_time(writer, "created_at", line->created_at_us);
    if (line->effective_at_us != line->created_at_us) {
        write_time(writer, "effective_at", line->effective_at_us);
    }
    json_write_object_end(writer);
}

static const char *kind_name(enum reader_kind kind) {
    switch (kind) {
    case READER_DEPOSIT:
        return "deposit";
    case READER_WITHDRAW:
        return "withdraw";
    case READER_TRANSFER:
        return "transfer";
    case READER_REVERSAL:
        return "reversal";
    case READER_ADJUSTMENT:
        break;
    }
    return "adjustment";
}

static const char *class_name(enum posting_class class) {
    switch (class) {
    case POSTING_ASSET:
        return "asset";
    case POSTING_LIABILITY:
        return "liability";
    case POSTING_EQUITY:
        return "equity";
    case POSTING_INCOME:
        return "income";
    case POSTING_EXPENSE:
        break;
    }
    return "expense";
}

static void write_entry(struct json_writer *writer, const struct reader_entry *entry,
                        const struct ledger_uuid *viewer) {
    bool own =
        entry->has_owner && memcmp(entry->owner.bytes, viewer->bytes, sizeof viewer->bytes) == 0;
    json_write_object_begin(writer);
    write_uuid(writer, "account_id", &entry->account_id);
    json_write_member(writer, "class", class_name(entry->class));
    json_write_key(writer, "own");
    json_write_boolean(writer, own);
    json_write_member(writer, "side", entry->amount > 0 ? "debit" : "credit");
    write_money(writer, "amount", posting_own_side(entry->class, entry->amount), entry->decimals);
    json_write_member(writer, "currency", entry->asset);
    if (own) {
        write_money(writer, "balance_after", posting_own_side(entry->class, entry->balance_after),
                    entry->decimals);
    }
    json_write_object_end(writer);
}

void present_transaction(struct json_writer *writer, const struct reader_transaction *transaction,
                         const struct reader_entry *entries, size_t entry_count,
                         const struct ledger_uuid *viewer) {
    json_write_object_begin(writer);
    write_uuid(writer, "id", &transaction->id);
    json_write_member(writer, "kind", kind_name(transaction->kind));
    write_time(writer, "created_at", transaction->created_at_us);
    write_time(writer, "effective_at", transaction->effective_at_us);
    if (transaction->has_reverses) {
        write_uuid(writer, "reverses", &transaction->reverses);
    }
    if (transaction->was_reversed) {
        write_uuid(writer, "reversed_by", &transaction->reversed_by);
    }
    json_write_key(writer, "entries");
    json_write_array_begin(writer);
    for (size_t i = 0; i < entry_count; i++) {
        write_entry(writer, &entries[i], viewer);
    }
    json_write_array_end(writer);
    json_write_object_end(writer);
}
