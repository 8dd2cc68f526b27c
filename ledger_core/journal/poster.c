/*
 * Design.  One batch at a time, on one of two ways (see batch.c): carefully in two phases, each one
 * pipeline and one Sync, or by express in one.
 *
 *   IDLE -run-> LOCKING -on_locked-> WRITING -on_written-> IDLE, or the next range
 *   IDLE -run, express-> WRITING -on_written-> IDLE
 *   WRITING, express -lose_race-> LOCKING
 *   LOCKING, WRITING -fail, lose-> WAITING -retry pause over, or connection ready-> LOCKING
 *   WAITING, unfenced -retry pause over, or connection ready-> LOCKING -on_fenced-> LOCKING
 *
 * The express way is for the first attempt of a range alone: whatever goes wrong there, nothing of
 * it was committed or it is in doubt, and the careful way takes over.  When another writer was
 * first, or a key was used before, the next batches are careful too, twice as many each time, so
 * that writers who share accounts, or a client who repeats keys, cost the others little.
 *
 * A batch is a stack of ranges, at first one.  When the database refuses a range for a reason that
 * lies in its rows, the range is halved and both halves are posted in order, down to the command
 * (or the all-or-nothing group) that is the reason: that one fails alone.
 *
 * Unknown outcomes.  When the connection is lost during phase two, or the server warned there, the
 * range is in doubt.  It is then attempted again on a new connection with the same transaction ids:
 * phase one waits for the row locks which the old backend still holds if it is still at its COMMIT,
 * and looks the keys up in a statement of its own after that.  So it sees exactly one of two
 * worlds.  Either our transactions are there (the key leads to our own id): the lost COMMIT had
 * succeeded.  Or they are not and never will be, and posting them now is the first time.  The
 * attempt's own COMMIT, without a warning, also proves that everything before it in the WAL has
 * reached whatever synchronous standby the server is told to wait for.  Nobody is answered before.
 *
 * That needs locks which were there before the loss.  An express batch has none: the old backend
 * may not even have read it, and post it when nobody thinks of it any more.  So the first thing on
 * the new connection is the fence (batch.c): it waits for the old backend if that has begun, and
 * if not, makes sure that the batch no longer finds what it compares with.  Until then all of its
 * commands stay together, also those whose deadline has passed.  When the process itself dies there
 * is nobody to do so, and nobody who has been told anything; batch.c says why that is safe.
 */
#include "ledger_core/journal/poster.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "service_kit/log.h"

/* A phase that takes longer has lost its server, whatever the socket says. */
#define PHASE_TIMEOUT_US 5000000
/* Careful batches after a lost race, at most. */
#define EXPRESS_BACKOFF_MAX 64
/* Attempts of one range, beyond which a failure is final for the request. */
#define ATTEMPTS_MAX 10
#define PAUSE_MIN_US 1000
#define PAUSE_MAX_US 200000

static struct poster_range *current(struct journal *journal) {
    assert(journal->range_count > 0);
    return &journal->ranges[journal->range_count - 1];
}

static void set_stage(struct journal *journal, const struct poster_range *range, bool posting) {
    for (size_t i = range->begin; i < range->end; i++) {
        if (journal->members[i] != NULL)
            journal->members[i]->stage = posting ? JOURNAL_COMMAND_POSTING : JOURNAL_COMMAND_QUEUED;
    }
}

/* Between two attempts: what is in doubt may be posted already, so nobody may withdraw it. */
static void set_waiting(struct journal *journal, const struct poster_range *range) {
    set_stage(journal, range, range->in_doubt);
}

static void tell(struct journal_command *command) {
    command->stage = JOURNAL_COMMAND_NEW;
    command->on_outcome(command);
}

/* ---- ranges ---- */

/*
 * The range in work is over; each of its commands has its outcome.  What waits is sent first: the
 * database works on it while these are answered.
 */
static void finish_range(struct journal *journal) {
    struct journal_command *over[JOURNAL_BATCH_MAX];
    size_t count = 0;
    struct poster_range range = *current(journal);
    journal->range_count--;
    journal->phase = POSTER_IDLE;
    for (size_t i = range.begin; i < range.end; i++) {
        if (journal->members[i] != NULL)
            over[count++] = journal->members[i];
        journal->members[i] = NULL;
    }
    poster_run(journal);
    for (size_t i = 0; i < count; i++)
        tell(over[i]);
}

/* The range in work ends without a decision. */
static void give_up_range(struct journal *journal, enum journal_end end, const char *sqlstate) {
    struct poster_range *range = current(journal);
    for (size_t i = range->begin; i < range->end; i++) {
        struct journal_command *command = journal->members[i];
        if (command == NULL)
            continue;
        command->end = range->in_doubt ? JOURNAL_UNKNOWN : end;
        snprintf(command->sqlstate, sizeof(command->sqlstate), "%s", sqlstate);
    }
    finish_range(journal);
}

static bool same_unit(const struct journal *journal, size_t a, size_t b) {
    return journal->members[a]->group != 0 &&
           journal->members[a]->group == journal->members[b]->group;
}

/* Where to halve without cutting a group; range->begin when it is a single unit. */
static size_t split_point(const struct journal *journal, const struct poster_range *range) {
    size_t middle = range->begin + (range->end - range->begin) / 2;
    size_t split = middle;
    while (split > range->begin && same_unit(journal, split - 1, split))
        split--;
    if (split > range->begin)
        return split;
    split = middle;
    while (split > range->begin && split < range->end && same_unit(journal, split - 1, split))
        split++;
    return split < range->end ? split : range->begin;
}

/*
 * Those whose time has passed leave.  Their callers have answered, and may have asked elsewhere and
 * been refused: nothing new may be done for them, however long this attempt has waited.
 */
static void drop_late(struct journal *journal) {
    const struct poster_range *range = current(journal);
    int64_t now_us = loop_clock_us();
    for (size_t i = range->begin; i < range->end; i++) {
        struct journal_command *command = journal->members[i];
        if (command == NULL || command->deadline_us > now_us)
            continue;
        journal->members[i] = NULL;
        command->end = range->in_doubt ? JOURNAL_UNKNOWN : JOURNAL_UNAVAILABLE;
        tell(command);
    }
}

/* Withdrawn commands leave, and late ones; the rest moves together. */
static void compact_range(struct journal *journal) {
    drop_late(journal);
    struct poster_range *range = current(journal);
    size_t kept = range->begin;
    for (size_t i = range->begin; i < range->end; i++) {
        struct journal_command *command = journal->members[i];
        journal->members[i] = NULL;
        if (command != NULL)
            journal->members[kept++] = command;
    }
    range->end = kept;
}

/* ---- failures ---- */

static void pause_range(struct journal *journal) {
    struct poster_range *range = current(journal);
    set_waiting(journal, range);
    journal->phase = POSTER_WAITING;
    int64_t ceiling_us = PAUSE_MAX_US;
    if (range->attempts < ATTEMPTS_MAX && (int64_t)PAUSE_MIN_US << range->attempts < ceiling_us)
        ceiling_us = (int64_t)PAUSE_MIN_US << range->attempts;
    uint32_t random = 0;
    ssize_t got = getrandom(&random, sizeof(random), 0);
    (void)got; /* without it there is no jitter, which is no fault */
    loop_timer_start(journal->loop, &journal->retry, ceiling_us / 2 + random % (ceiling_us / 2));
    range->attempts++;
    journal->counters.retries++;
}

/* The connection went away under the range. */
static void lose_range(struct journal *journal, bool in_doubt, const struct db_result *result) {
    struct poster_range *range = current(journal);
    range->in_doubt = range->in_doubt || in_doubt;
    range->unfenced = range->unfenced || (in_doubt && journal->express);
    range->careful = true;
    batch_forget(journal->batch);
    journal->counters.lost++;
    struct log_line line;
    log_begin(&line, LOG_WARN, "batch_lost");
    log_integer(&line, "commands", (int64_t)(range->end - range->begin));
    log_boolean(&line, "in_doubt", range->in_doubt);
    log_string(&line, "reason", result->message);
    log_end(&line);
    pause_range(journal);
}

static void on_rolled_back(void *owner, const struct db_result *result) {
    (void)owner; /* a failed ROLLBACK means a lost connection, which tells the next segment too */
    (void)result;
}

/* Without it the connection stays in the failed transaction.  Pipelined: nobody waits for it. */
static void roll_back(struct journal *journal) {
    const struct db_call call = {.statement = "rollback"};
    if (!db_send(journal->connection, &call, 1, on_rolled_back, NULL))
        return; /* gone: the server rolls back by itself */
}

/*
 * Another writer was first, between our look-up and our insert: with the key (a command on other
 * accounts, so that no lock stood between us).  The next attempt sees it.
 */
static bool is_lost_race(const struct db_result *result) {
    return strcmp(result->sqlstate, "23505") == 0 &&
           strcmp(result->constraint, "transaction_idempotency_key") == 0;
}

/*
 * On the express way the same means a key that was used before, at any time; and another writer may
 * have moved a snapshot, or had it changed.
 */
static bool is_lost_express(const struct db_result *result) {
    return strcmp(result->sqlstate, "PC020") == 0 || is_lost_race(result);
}

static void split_range(struct journal *journal, size_t split) {
    assert(journal->range_count < POSTER_RANGES_MAX);
    struct poster_range *second = current(journal);
    struct poster_range first = *second;
    second->begin = split;
    second->attempts = 0;
    first.end = split;
    first.attempts = 0;
    journal->ranges[journal->range_count++] = first;
    journal->counters.splits++;
    set_waiting(journal, &first);
    set_waiting(journal, second);
    journal->phase = POSTER_IDLE;
    loop_turn_schedule(journal->loop, &journal->turn);
}

/* The database refused something of the range, and nothing of this attempt was committed. */
static void fail_range(struct journal *journal, const struct db_result *result) {
    roll_back(journal);
    struct poster_range *range = current(journal);
    range->careful = true;
    batch_forget(journal->batch);
    struct log_line line;
    log_begin(&line, LOG_WARN, "batch_refused");
    log_integer(&line, "commands", (int64_t)(range->end - range->begin));
    log_integer(&line, "attempts", range->attempts + 1);
    log_string(&line, "sqlstate", result->sqlstate);
    log_string(&line, "constraint", result->constraint);
    log_string(&line, "reason", result->message);
    log_end(&line);

    if (db_error_passes(result) || is_lost_race(result)) {
        if (range->attempts < ATTEMPTS_MAX)
            pause_range(journal);
        else
            give_up_range(journal, JOURNAL_UNAVAILABLE, result->sqlstate);
        return;
    }
    /* Withdrawn meanwhile? Then look again without them. */
    for (size_t i = range->begin; i < range->end; i++) {
        if (journal->members[i] == NULL) {
            pause_range(journal);
            return;
        }
    }
    size_t split = split_point(journal, range);
    if (split > range->begin)
        split_range(journal, split);
    else
        give_up_range(journal, JOURNAL_FAILED, result->sqlstate);
}

/* ---- the two ways ---- */

static void start_range(struct journal *journal);

/* Nothing was committed, and the careful way will see why.  At once: nobody has to be waited for.
 */
static void lose_express(struct journal *journal) {
    roll_back(journal);
    batch_forget(journal->batch);
    current(journal)->careful = true;
    set_waiting(journal, current(journal));
    journal->express_backoff = journal->express_backoff == 0 ? 1 : 2 * journal->express_backoff;
    if (journal->express_backoff > EXPRESS_BACKOFF_MAX)
        journal->express_backoff = EXPRESS_BACKOFF_MAX;
    journal->express_rest = journal->express_backoff;
    journal->counters.express_lost++;
    start_range(journal);
}

static void on_written(void *owner, const struct db_result *result) {
    struct journal *journal = owner;
    if (journal->closing)
        return;
    loop_timer_stop(journal->loop, &journal->watchdog);
    switch (result->end) {
    case DB_END_ERROR:
        if (journal->express && is_lost_express(result))
            lose_express(journal);
        else
            fail_range(journal, result);
        return;
    case DB_END_LOST:
        lose_range(journal, true, result);
        return;
    case DB_END_UNSENT:
        lose_range(journal, false, result);
        return;
    case DB_END_OK:
        break;
    }
    if (result->warning) { /* committed here, perhaps not where it also should be */
        db_connection_break(journal->connection, "warning at COMMIT");
        lose_range(journal, true, result);
        return;
    }
    if (journal->express) {
        journal->express_backoff /= 2;
        journal->counters.express++;
    }
    batch_remember(journal->batch, result);
    batch_outcomes(journal->batch, journal->members + current(journal)->begin);
    finish_range(journal);
}

/* Nothing to keep: release the locks, without a wait for the disk. */
static void finish_unwritten(struct journal *journal) {
    roll_back(journal);
    batch_remember(journal->batch, NULL);
    batch_outcomes(journal->batch, journal->members + current(journal)->begin);
    finish_range(journal);
}

/* Sends phase two, or the whole of an express batch. */
static void write_range(struct journal *journal) {
    struct db_call calls[BATCH_WRITE_CALLS];
    size_t count = batch_build_write(journal->batch, calls);
    set_stage(journal, current(journal), true);
    journal->phase = POSTER_WRITING;
    loop_timer_start(journal->loop, &journal->watchdog, PHASE_TIMEOUT_US);
    if (!db_send(journal->connection, calls, count, on_written, journal)) {
        const struct db_result unsent = {.end = DB_END_UNSENT, .message = "no connection"};
        on_written(journal, &unsent);
    }
}

static void on_locked(void *owner, const struct db_result *result) {
    struct journal *journal = owner;
    if (journal->closing)
        return;
    loop_timer_stop(journal->loop, &journal->watchdog);
    if (result->end == DB_END_ERROR) {
        fail_range(journal, result);
        return;
    }
    if (result->end != DB_END_OK) {
        lose_range(journal, false, result);
        return;
    }
    drop_late(journal);
    struct poster_range *range = current(journal);
    const char *error = NULL;
    if (!batch_decide(journal->batch, journal->members + range->begin, range->end - range->begin,
                      result, &error)) {
        log_message(LOG_ERROR, "integrity", "reason", error);
        roll_back(journal);
        give_up_range(journal, JOURNAL_FAILED, "");
        return;
    }
    struct batch_summary summary = batch_summary(journal->batch);
    journal->counters.resolved += summary.resolved;
    /* The doubt is over for what was not found; what was found is certain after our own COMMIT. */
    range->in_doubt = summary.resolved > 0;
    if (summary.accepted + summary.resolved + summary.duplicates == 0 && !summary.fence) {
        finish_unwritten(journal);
        return;
    }
    write_range(journal);
}

/* Decided already, on what is remembered? */
static bool take_express(struct journal *journal, const struct poster_range *range) {
    if (range->careful || range->in_doubt)
        return false;
    if (journal->express_rest > 0) {
        journal->express_rest--;
        return false;
    }
    return batch_decide_known(journal->batch, journal->members + range->begin,
                              range->end - range->begin);
}

static void on_fenced(void *owner, const struct db_result *result) {
    struct journal *journal = owner;
    if (journal->closing)
        return;
    loop_timer_stop(journal->loop, &journal->watchdog);
    if (result->end == DB_END_ERROR) {
        fail_range(journal, result);
        return;
    }
    if (result->end == DB_END_OK && result->warning)
        db_connection_break(journal->connection, "warning at COMMIT");
    if (result->end != DB_END_OK || result->warning) {
        lose_range(journal, true, result);
        return;
    }
    current(journal)->unfenced = false;
    journal->phase = POSTER_IDLE;
    poster_run(journal);
}

static void fence_range(struct journal *journal) {
    struct poster_range *range = current(journal);
    struct db_call calls[BATCH_FENCE_CALLS];
    batch_build_fence(journal->batch, journal->members + range->begin, range->end - range->begin,
                      calls);
    journal->express = false;
    journal->phase = POSTER_LOCKING;
    loop_timer_start(journal->loop, &journal->watchdog, PHASE_TIMEOUT_US);
    if (!db_send(journal->connection, calls, BATCH_FENCE_CALLS, on_fenced, journal)) {
        const struct db_result unsent = {.end = DB_END_UNSENT, .message = "no connection"};
        on_fenced(journal, &unsent);
    }
}

static void start_range(struct journal *journal) {
    struct poster_range *range = current(journal);
    journal->express = take_express(journal, range);
    if (journal->express) {
        write_range(journal);
        return;
    }
    struct db_call calls[BATCH_LOCK_CALLS];
    batch_build_lock(journal->batch, journal->members + range->begin, range->end - range->begin,
                     calls);
    journal->phase = POSTER_LOCKING;
    loop_timer_start(journal->loop, &journal->watchdog, PHASE_TIMEOUT_US);
    if (!db_send(journal->connection, calls, BATCH_LOCK_CALLS, on_locked, journal)) {
        const struct db_result unsent = {.end = DB_END_UNSENT, .message = "no connection"};
        on_locked(journal, &unsent);
    }
}

/* ---- the queue ---- */

static size_t group_length(const struct journal_command *first) {
    size_t length = 1;
    for (const struct journal_command *command = first->next;
         first->group != 0 && command != NULL && command->group == first->group;
         command = command->next)
        length++;
    return length;
}

/* The next batch: what is queued, up to the limit, groups whole. */
static void take_batch(struct journal *journal) {
    size_t count = 0;
    while (journal->head != NULL) {
        size_t length = group_length(journal->head);
        if (count > 0 && count + length > journal->settings.batch_max)
            break;
        for (; length > 0; length--) {
            struct journal_command *command = journal->head;
            journal->head = command->next;
            journal->members[count++] = command;
        }
        if (count >= journal->settings.batch_max)
            break;
    }
    if (journal->head == NULL)
        journal->tail = &journal->head;
    journal->queued -= count;
    if (count == 0)
        return;
    journal->ranges[journal->range_count++] = (struct poster_range){.end = count};
    journal->counters.batches++;
    journal->counters.commands += count;
}

void poster_run(struct journal *journal) {
    if (journal->closing || journal->phase == POSTER_LOCKING || journal->phase == POSTER_WRITING ||
        loop_timer_running(&journal->retry))
        return;
    for (;;) {
        if (journal->range_count == 0)
            take_batch(journal);
        if (journal->range_count == 0) {
            journal->phase = POSTER_IDLE;
            return;
        }
        if (!journal_ready(journal)) {
            journal->phase = POSTER_WAITING; /* the connection's return runs us again */
            return;
        }
        struct poster_range *range = current(journal);
        if (range->unfenced) {
            fence_range(journal);
            return;
        }
        compact_range(journal);
        if (range->end > range->begin) {
            start_range(journal);
            return;
        }
        journal->range_count--;
    }
}

void poster_on_retry(struct loop_timer *timer) {
    poster_run((struct journal *)((char *)timer - offsetof(struct journal, retry)));
}

void poster_on_watchdog(struct loop_timer *timer) {
    struct journal *journal =
        (struct journal *)((char *)timer - offsetof(struct journal, watchdog));
    db_connection_break(journal->connection, "no answer from the database in time");
}

static void refuse_queue(struct journal *journal) {
    while (journal->head != NULL) {
        struct journal_command *command = journal->head;
        journal->head = command->next;
        journal->queued--;
        command->end = JOURNAL_UNAVAILABLE;
        tell(command);
    }
    journal->tail = &journal->head;
}

void poster_refuse(struct journal *journal) {
    assert(journal->phase != POSTER_LOCKING && journal->phase != POSTER_WRITING);
    while (journal->range_count > 0 && !current(journal)->in_doubt)
        give_up_range(journal, JOURNAL_UNAVAILABLE, "");
    refuse_queue(journal);
}

void poster_abandon(struct journal *journal) {
    while (journal->range_count > 0) {
        if (journal->phase == POSTER_WRITING)
            current(journal)->in_doubt = true;
        give_up_range(journal, JOURNAL_UNAVAILABLE, "");
    }
    refuse_queue(journal);
}
