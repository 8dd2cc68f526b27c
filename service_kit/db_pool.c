/*
 * Design.  A fixed set of connections, opened at the start.  A query goes to the ready connection
 * with the fewest in flight; when all pipelines are full it waits in a bounded FIFO with a copy of
 * its parameters.  Nothing waits for a connection that is not there: without a ready one the
 * caller is told at once, and what already waits is ended as UNSENT.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "service_kit/db.h"
#include "service_kit/loop.h"

struct waiting {
    struct waiting *next;
    struct db_call call; /* with parameters that point behind this struct */
    db_on_result *on_result;
    void *owner;
};

struct db_pool {
    struct db_pool_settings settings;
    struct db_connection **connections;
    struct waiting *head, **tail;
    size_t queued;
    bool closing;
    struct loop *loop;
    struct loop_turn free_turn;
};

/* What the connection tells is passed on, then the queue moves. */
struct running {
    struct db_pool *pool;
    db_on_result *on_result;
    void *owner;
};

static bool start(struct db_pool *pool, const struct db_call *call, db_on_result *on_result,
                  void *owner);

static struct waiting *queue_pop(struct db_pool *pool) {
    struct waiting *waiting = pool->head;
    pool->head = waiting->next;
    if (pool->head == NULL)
        pool->tail = &pool->head;
    pool->queued--;
    return waiting;
}

static void drain(struct db_pool *pool) {
    while (pool->head != NULL) {
        struct waiting *waiting = pool->head;
        bool started = start(pool, &waiting->call, waiting->on_result, waiting->owner);
        if (!started && db_pool_ready(pool))
            return; /* the pipelines are full: the next result calls again */
        queue_pop(pool);
        if (!started) {
            struct db_result unsent = {.end = DB_END_UNSENT};
            waiting->on_result(waiting->owner, &unsent);
        }
        free(waiting);
    }
}

static void on_done(void *owner, const struct db_result *result) {
    struct running *running = owner;
    struct db_pool *pool = running->pool;
    running->on_result(running->owner, result);
    free(running);
    if (!pool->closing)
        drain(pool);
}

static void on_state(void *owner, bool ready) {
    (void)ready;
    drain(owner);
}

static bool start(struct db_pool *pool, const struct db_call *call, db_on_result *on_result,
                  void *owner) {
    struct db_connection *best = NULL;
    for (size_t i = 0; i < pool->settings.connections; i++) {
        struct db_connection *connection = pool->connections[i];
        if (db_connection_state(connection) == DB_READY &&
            db_connection_in_flight(connection) < pool->settings.in_flight_per_connection &&
            (best == NULL || db_connection_in_flight(connection) < db_connection_in_flight(best)))
            best = connection;
    }
    if (best == NULL)
        return false;
    struct running *running = malloc(sizeof(*running));
    if (running == NULL)
        return false;
    *running = (struct running){pool, on_result, owner};
    if (db_send(best, call, 1, on_done, running))
        return true;
    free(running);
    return false;
}

/* One allocation: the struct, then values, lengths, formats, then the bytes. */
static struct waiting *copy_call(const struct db_call *call) {
    const struct db_params *params = &call->params;
    size_t count = (size_t)params->count;
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        if (params->values[i] != NULL)
            bytes += (params->formats != NULL && params->formats[i] == 1)
                         ? (size_t)params->lengths[i]
                         : strlen(params->values[i]) + 1;
    }
    struct waiting *waiting =
        malloc(sizeof(*waiting) + count * (sizeof(char *) + 2 * sizeof(int)) + bytes);
    if (waiting == NULL)
        return NULL;
    const char **values = (const char **)(waiting + 1);
    int *lengths = (int *)(values + count);
    int *formats = lengths + count;
    char *at = (char *)(formats + count);
    for (size_t i = 0; i < count; i++) {
        formats[i] = params->formats != NULL ? params->formats[i] : 0;
        lengths[i] = params->lengths != NULL ? params->lengths[i] : 0;
        values[i] = NULL;
        if (params->values[i] == NULL)
            continue;
        size_t length = formats[i] == 1 ? (size_t)lengths[i] : strlen(params->values[i]) + 1;
        memcpy(at, params->values[i], length);
        values[i] = at;
        at += length;
    }
    waiting->next = NULL;
    waiting->call = *call;
    waiting->call.params = (struct db_params){params->count, values, lengths, formats};
    return waiting;
}

static void on_free_turn(struct loop_turn *turn) {
    struct db_pool *pool = (struct db_pool *)((char *)turn - offsetof(struct db_pool, free_turn));
    free(pool->connections);
    free(pool);
}

struct db_pool *db_pool_create(struct loop *loop, const struct db_settings *settings,
                               const struct db_pool_settings *pool_settings,
                               const struct db_statement *statements, size_t statement_count) {
    assert(pool_settings->connections > 0 && pool_settings->in_flight_per_connection > 0);
    struct db_pool *pool = calloc(1, sizeof(*pool));
    if (pool == NULL)
        return NULL;
    pool->loop = loop;
    pool->free_turn.on_turn = on_free_turn;
    pool->settings = *pool_settings;
    pool->tail = &pool->head;
    pool->connections = calloc(pool_settings->connections, sizeof(struct db_connection *));
    if (pool->connections == NULL) {
        free(pool);
        return NULL;
    }
    for (size_t i = 0; i < pool_settings->connections; i++) {
        pool->connections[i] = db_connection_create(loop, settings, statements, statement_count);
        if (pool->connections[i] == NULL)
            abort(); /* out of memory at the start */
    }
    for (size_t i = 0; i < pool_settings->connections; i++) {
        db_connection_on_state(pool->connections[i], on_state, pool);
        db_connection_open(pool->connections[i]);
    }
    return pool;
}

size_t db_pool_ready_connections(const struct db_pool *pool) {
    size_t ready = 0;
    for (size_t i = 0; i < pool->settings.connections; i++)
        ready += db_connection_state(pool->connections[i]) == DB_READY;
    return ready;
}

bool db_pool_ready(const struct db_pool *pool) {
    return db_pool_ready_connections(pool) > 0;
}

size_t db_pool_queued(const struct db_pool *pool) {
    return pool->queued;
}

bool db_pool_query(struct db_pool *pool, const struct db_call *call, db_on_result *on_result,
                   void *owner) {
    if (pool->closing)
        return false;
    if (pool->head == NULL && start(pool, call, on_result, owner))
        return true;
    if (pool->queued >= pool->settings.queue_max || !db_pool_ready(pool))
        return false;
    struct waiting *waiting = copy_call(call);
    if (waiting == NULL)
        return false;
    waiting->on_result = on_result;
    waiting->owner = owner;
    *pool->tail = waiting;
    pool->tail = &waiting->next;
    pool->queued++;
    return true;
}

void db_pool_close(struct db_pool *pool) {
    pool->closing = true;
    for (size_t i = 0; i < pool->settings.connections; i++)
        db_connection_close(pool->connections[i]);
    while (pool->head != NULL) {
        struct waiting *waiting = queue_pop(pool);
        struct db_result unsent = {.end = DB_END_UNSENT};
        waiting->on_result(waiting->owner, &unsent);
        free(waiting);
    }
    /* The connections end in this turn and tell what is in flight; the pool goes after them. */
    loop_turn_schedule(pool->loop, &pool->free_turn);
}
