/*
 * present: rows of the journal as the JSON of the API: amounts as strings with the currency's own
 * decimals, seen from the account's own side; times in UTC.
 */
#ifndef PACIOLI_WALLET_API_PRESENT_H
#define PACIOLI_WALLET_API_PRESENT_H

#include "ledger_core/journal/reader.h"
#include "service_kit/json.h"

/* Room for "2026-11-22T11:30:00.123456Z" and its NUL. */
#define PRESENT_TIME_MAX 32

/* {"id","user_id","balance","currency"} */
void present_account(struct json_writer *writer, const struct reader_account *account);
/* The same with "available","held","status","created_at". */
void present_account_in_full(struct json_writer *writer, const struct reader_account *account);
/* {"id","account_id","amount","type","created_at"} */
void present_line(struct json_writer *writer, const struct reader_account *account,
                  const struct reader_line *line);
/* A transaction with its entries, as `viewer` may see them. */
void present_transaction(struct json_writer *writer, const struct reader_transaction *transaction,
                         const struct reader_entry *entries, size_t entry_count,
                         const struct ledger_uuid *viewer);

/* RFC 3339 with microseconds, for the years 1000 to 9999. */
void present_time(int64_t unix_us, char text[static PRESENT_TIME_MAX]);

#endif
