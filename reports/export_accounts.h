/*
 * export_accounts: the accounts of an export, remembered, so that the rows of the journal need not
 * carry them.
 */
#ifndef PACIOLI_REPORTS_EXPORT_ACCOUNTS_H
#define PACIOLI_REPORTS_EXPORT_ACCOUNTS_H

#include "ledger_core/journal/wire.h"
#include "reports/export.h"
#include "reports/source.h"

/* Accounts that may be wanted between two calls of export_accounts_tidy. */
#define EXPORT_ACCOUNTS_WANTED_MAX   4096
#define EXPORT_ACCOUNTS_REMEMBER_MAX 65536

struct export_accounts {
    struct source source; /* a connection of its own: the other one streams meanwhile */
    const struct export_format *format;
    size_t remember; /* accounts; beyond it all are forgotten and asked for again */
    struct export_account **slots;
    size_t slot_mask, count, bytes;
    struct wire_array wanted;
    struct output pieces;
    bool forgotten; /* one that moved */
};

/* In the view of `source`.  False after a message; to be freed in any case. */
__attribute__((warn_unused_result)) bool export_accounts_open(struct export_accounts *accounts,
                                                              struct source *source,
                                                              const struct export_format *format,
                                                              size_t remember);
/* Sees from now on what `source` sees; what is remembered stays, an account never changes. */
__attribute__((warn_unused_result)) bool export_accounts_follow(struct export_accounts *accounts,
                                                                struct source *source);
void export_accounts_free(struct export_accounts *accounts);
/* Forgets all when there are too many.  What export_accounts_find gave is gone then. */
void export_accounts_tidy(struct export_accounts *accounts);
/* It will be looked for. */
void export_accounts_want(struct export_accounts *accounts, const uint8_t id[static UUID_SIZE]);
/* Gets those that were wanted and are not known.  False after a message. */
__attribute__((warn_unused_result)) bool export_accounts_fetch(struct export_accounts *accounts);
/* One that was wanted; NULL: there is no such account. */
struct export_account *export_accounts_find(const struct export_accounts *accounts,
                                            const uint8_t id[static UUID_SIZE]);
/* Those that moved, by code; the array is the caller's, the accounts are not. */
struct export_account **export_accounts_moved(const struct export_accounts *accounts,
                                              size_t *count);

#endif
