/*
 * check: may this service post to this database?  Once, blocking, before it listens.
 */
#ifndef PACIOLI_JOURNAL_CHECK_H
#define PACIOLI_JOURNAL_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct db_settings;

/*
 * db_check's rules, and: the role cannot change or remove journal rows, and the ledger exists.
 * On success *ledger_id is the ledger's; on failure one line in `error`.
 */
__attribute__((warn_unused_result)) bool
journal_check(const struct db_settings *settings, const char *ledger_name, int schema_min,
              int schema_max, int64_t wait_ms, int32_t *ledger_id, char *error, size_t error_size);

#endif
