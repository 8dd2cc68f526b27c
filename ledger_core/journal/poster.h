/*
 * poster: the state machine that takes a journal's queue to the database, one batch at a time.
 * For journal.c; everything else uses journal.h.
 */
#ifndef PACIOLI_JOURNAL_POSTER_H
#define PACIOLI_JOURNAL_POSTER_H

#include "ledger_core/journal/batch.h"
#include "ledger_core/journal/journal.h"
#include "service_kit/loop.h"
#include "service_kit/uuid.h"

/* A split halves a range, so ten deep for a thousand commands; each level leaves one behind. */
#define POSTER_RANGES_MAX 16

enum poster_phase {
    POSTER_IDLE,    /* no batch */
    POSTER_WAITING, /* a batch, and a pause before its next attempt, or no connection */
    POSTER_LOCKING, /* phase one or the fence is with the database: nothing was posted yet */
    POSTER_WRITING, /* phase two, or an express batch, is with the database */
};

/* Some neighbouring commands of the batch, posted in one database transaction. */
struct poster_range {
    size_t begin, end;
    int attempts;
    bool in_doubt; /* an attempt's COMMIT went unanswered, or was answered with a warning */
    bool careful;  /* not on the express way: an attempt has failed */
    bool unfenced; /* an express attempt went unanswered, and may be posted at any time later */
};

struct journal {
    struct loop *loop;
    struct journal_settings settings;
    struct db_connection *connection;
    struct uuid_generator ids;
    bool refusing; /* the database has been away for longer than the grace */
    bool closing;

    struct journal_command *head, **tail;
    size_t queued;
    uint32_t last_group;

    enum poster_phase phase;
    struct batch *batch;
    struct journal_command *members[JOURNAL_BATCH_MAX]; /* NULL: withdrawn */
    struct poster_range ranges[POSTER_RANGES_MAX];      /* [range_count - 1] is in work */
    size_t range_count;
    bool express;             /* the range in work is on the express way */
    unsigned express_rest;    /* batches that still go the careful way */
    unsigned express_backoff; /* how many went so after the last lost race */

    struct loop_turn turn, free_turn;
    struct loop_timer retry;    /* the pause of POSTER_WAITING */
    struct loop_timer watchdog; /* of LOCKING and WRITING */
    struct loop_timer grace;    /* of a connection that is away */
    struct journal_counters counters;
};

/* Goes on with whatever can go on; safe to call at any time but inside on_outcome. */
void poster_run(struct journal *journal);
/* For the retry pause and the watchdog. */
void poster_on_retry(struct loop_timer *timer);
void poster_on_watchdog(struct loop_timer *timer);
/* Refuses what waits, except what is in doubt: that is resolved when the database is back. */
void poster_refuse(struct journal *journal);
/* Ends everything queued and in work: UNKNOWN what is in doubt, UNAVAILABLE the rest. */
void poster_abandon(struct journal *journal);

#endif
