/*
 * source: the tool's connection to the books: the settings of wallet_api (same variables, same
 * .env), and one read-only transaction that sees one state of everything.
 *
 * Any role that may read the schema will do.  Failures are one line on standard error and
 * EXIT_COULD_NOT_RUN.
 */
#ifndef PACIOLI_REPORTS_SOURCE_H
#define PACIOLI_REPORTS_SOURCE_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "service_kit/config.h"

/* Exit statuses of ledger_report. */
#define EXIT_DIFFERENCES   1
#define EXIT_COULD_NOT_RUN 2
#define EXIT_USAGE         64
#define EXIT_CONFIG        78

/* For --help. */
extern const struct config_setting SOURCE_SETTINGS[];
extern const size_t SOURCE_SETTING_COUNT;

struct source {
    struct config *config;
    const char *host, *port, *database, *user, *password, *ledger_name;
    PGconn *connection;
    int32_t ledger_id;
};

/* 0, or the exit status. */
__attribute__((warn_unused_result)) int source_open(struct source *source);
void source_close(struct source *source);

/*
 * A second connection that sees what `source`, in its view, sees.  False after a message.  To be
 * closed before `source`.
 */
__attribute__((warn_unused_result)) bool source_open_beside(struct source *source,
                                                            struct source *beside);

/* BEGIN READ ONLY, REPEATABLE READ; and its end. */
__attribute__((warn_unused_result)) bool source_begin_view(struct source *source);
__attribute__((warn_unused_result)) bool source_end_view(struct source *source);
/*
 * Waits until nothing can be booked before that moment any more, at most 15 s.  By effective time
 * a moment may lie ahead.  Outside of a transaction.
 */
__attribute__((warn_unused_result)) bool source_settle(struct source *source, const char *moment,
                                                       bool effective);

/* Runs a statement with text parameters; NULL after a message on standard error. */
__attribute__((warn_unused_result)) PGresult *source_query(struct source *source, const char *sql,
                                                           const char *const *values, int count);
/* The same; but an error of that SQLSTATE is returned without a message, as the result it is. */
__attribute__((warn_unused_result)) PGresult *source_try(struct source *source, const char *sql,
                                                         const char *const *values, int count,
                                                         const char *sqlstate);
/* The same row by row, without holding them all: on_row returns false to stop. */
__attribute__((warn_unused_result)) bool
source_stream(struct source *source, const char *sql, const char *const *values, int count,
              bool (*on_row)(void *owner, const PGresult *rows, int row), void *owner);

/* "ledger_report: ..." and a newline on standard error. */
void source_complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
