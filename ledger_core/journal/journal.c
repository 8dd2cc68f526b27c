/*
 * Design.  The queue before the poster: bounded, first in first out, commands linked through
 * themselves.  Submitting schedules the poster for the end of the loop's turn, so that all requests
 * of one turn are in its first batch; while a batch is with the database the queue grows into the
 * next one.  Nothing waits for a batch to fill.
 */
#include "ledger_core/journal/journal.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "ledger_core/journal/batch_statements.h"
#include "ledger_core/journal/poster.h"
#include "service_kit/memory.h"

/*
 * Every statement of a posting finds its rows by key, whatever the tables' sizes were when it was
 * planned: no plan may depend on statistics of the moment, and none is made twice.
 */
#define PLANNER_OPTIONS                                                                            \
    "-c plan_cache_mode=force_generic_plan -c jit=off -c enable_seqscan=off"                       \
    " -c enable_hashjoin=off -c enable_mergejoin=off -c enable_bitmapscan=off"                     \
    " -c enable_material=off -c enable_memoize=off"

/*
 * How long commands may gather while the database is away, as when one connection is lost; then
 * those that wait and those that come are refused at once.
 */
#define DOWN_GRACE_US 500000

static void on_turn(struct loop_turn *turn) {
    poster_run((struct journal *)((char *)turn - offsetof(struct journal, turn)));
}

static void on_free_turn(struct loop_turn *turn) {
    struct journal *journal =
        (struct journal *)((char *)turn - offsetof(struct journal, free_turn));
    batch_free(journal->batch);
    free(journal);
}

static void on_grace_over(struct loop_timer *timer) {
    struct journal *journal = (struct journal *)((char *)timer - offsetof(struct journal, grace));
    journal->refusing = true;
    poster_refuse(journal);
}

static void on_state(void *owner, bool ready) {
    struct journal *journal = owner;
    if (ready) {
        loop_timer_stop(journal->loop, &journal->grace);
        journal->refusing = false;
        batch_forget_all(journal->batch);
    } else {
        loop_timer_start(journal->loop, &journal->grace, DOWN_GRACE_US);
    }
    loop_turn_schedule(journal->loop, &journal->turn);
}

struct journal *journal_create(struct loop *loop, const struct db_settings *db,
                               const struct journal_settings *settings) {
    assert(settings->batch_max > 0 && settings->batch_max <= JOURNAL_BATCH_MAX);
    struct journal *journal = memory_allocate(1, sizeof(*journal));
    journal->loop = loop;
    journal->settings = *settings;
    journal->tail = &journal->head;
    journal->batch = batch_create(settings->ledger_id);
    journal->turn.on_turn = on_turn;
    journal->free_turn.on_turn = on_free_turn;
    journal->retry.on_fire = poster_on_retry;
    journal->watchdog.on_fire = poster_on_watchdog;
    journal->grace.on_fire = on_grace_over;
    loop_timer_start(loop, &journal->grace, DOWN_GRACE_US);
    struct db_settings posting = *db;
    posting.options = PLANNER_OPTIONS;
    journal->connection =
        db_connection_create(loop, &posting, BATCH_STATEMENTS, BATCH_STATEMENT_COUNT);
    if (journal->connection == NULL)
        abort(); /* out of memory at the start */
    db_connection_on_state(journal->connection, on_state, journal);
    db_connection_open(journal->connection);
    return journal;
}

bool journal_ready(const struct journal *journal) {
    return db_connection_state(journal->connection) == DB_READY;
}

bool journal_idle(const struct journal *journal) {
    return journal->head == NULL && journal->range_count == 0;
}

size_t journal_queued(const struct journal *journal) {
    return journal->queued;
}

const struct journal_counters *journal_counters(const struct journal *journal) {
    return &journal->counters;
}

void journal_close(struct journal *journal) {
    journal->closing = true;
    poster_abandon(journal);
    loop_timer_stop(journal->loop, &journal->retry);
    loop_timer_stop(journal->loop, &journal->watchdog);
    loop_timer_stop(journal->loop, &journal->grace);
    db_connection_close(journal->connection);
    /* The connection tells its last segment at the end of this turn; the journal goes after it. */
    loop_turn_schedule(journal->loop, &journal->free_turn);
}

bool journal_submit(struct journal *journal, struct journal_command *commands, size_t count,
                    bool atomic) {
    assert(count > 0 && count <= JOURNAL_BATCH_MAX);
    if (journal->refusing || journal->closing ||
        journal->queued + count > journal->settings.queue_max)
        return false;
    uint32_t group = 0;
    if (atomic && count > 1) {
        if (++journal->last_group == 0)
            ++journal->last_group; /* 0 means no group */
        group = journal->last_group;
    }
    for (size_t i = 0; i < count; i++) {
        struct journal_command *command = &commands[i];
        assert(command->stage == JOURNAL_COMMAND_NEW && command->on_outcome != NULL);
        assert(command->key_length > 0 && command->key_length <= POSTING_KEY_MAX);
        command->group = group;
        command->stage = JOURNAL_COMMAND_QUEUED;
        uuid_v7(&journal->ids, command->transaction_id.bytes);
        command->next = NULL;
        *journal->tail = command;
        journal->tail = &command->next;
    }
    journal->queued += count;
    loop_turn_schedule(journal->loop, &journal->turn);
    return true;
}

static bool is_one_of(const struct journal_command *command, const struct journal_command *commands,
                      size_t count) {
    return command >= commands && command < commands + count;
}

bool journal_withdraw(struct journal *journal, struct journal_command *commands, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (commands[i].stage != JOURNAL_COMMAND_QUEUED)
            return false;
    }
    size_t taken = 0;
    for (struct journal_command **link = &journal->head; *link != NULL && taken < count;) {
        if (is_one_of(*link, commands, count)) {
            *link = (*link)->next;
            taken++;
        } else {
            link = &(*link)->next;
        }
    }
    journal->queued -= taken;
    journal->tail = &journal->head;
    while (*journal->tail != NULL)
        journal->tail = &(*journal->tail)->next;
    for (size_t i = 0; i < JOURNAL_BATCH_MAX && taken < count; i++) {
        if (journal->members[i] != NULL && is_one_of(journal->members[i], commands, count)) {
            journal->members[i] = NULL; /* in a batch that waits or has only been locked */
            taken++;
        }
    }
    assert(taken == count);
    for (size_t i = 0; i < count; i++)
        commands[i].stage = JOURNAL_COMMAND_NEW;
    return true;
}
