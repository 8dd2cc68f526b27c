/*
 * workers: a bounded pool of threads for work that would block an event loop (hashing passwords).
 *
 * A job is taken from one queue, processed in a worker's thread, and returned to the loop that
 * submitted it.  When the queue is full, or so long that the job would not be done by its deadline,
 * it is refused at once; a job whose deadline passed while it waited is returned without being
 * processed.
 */
#ifndef PACIOLI_SERVICE_KIT_WORKERS_H
#define PACIOLI_SERVICE_KIT_WORKERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "service_kit/loop.h"

struct workers;

struct workers_settings {
    size_t threads;      /* at least 1 */
    size_t queue_max;    /* jobs that may wait for a thread, at least 1 */
    size_t scratch_size; /* bytes of memory that each thread lends to its jobs; 0: none */
    size_t stack_size;   /* 0: the system's default */
    size_t background;   /* threads that run only on a core that nobody else wants (SCHED_IDLE) */
    int nice;            /* of the others, unless the process' is higher; all have long slices */
    int64_t job_us;      /* about what processing a job takes; learned from then on */
};

/* Embedded in its owner; zero-initialise it.  Untouched by the owner until on_done. */
struct workers_job {
    /* In a worker's thread.  `scratch` is the thread's own, zeroed, and wiped after each job. */
    void (*process)(struct workers_job *job, void *scratch);
    /* In the thread of the loop that submitted it, exactly once. */
    void (*on_done)(struct workers_job *job);
    int64_t deadline_us; /* on loop_clock_us; 0: none */

    bool processed; /* the result: false when the deadline passed first */

    /* The pool's own. */
    struct loop_message message;
    struct loop *loop;
    struct workers_job *next;
};

/* NULL when the threads cannot be started. */
struct workers *workers_create(const struct workers_settings *settings);

/* Any loop's thread.  False: the queue is full or too long, and nothing will be called. */
__attribute__((warn_unused_result)) bool workers_submit(struct workers *workers, struct loop *loop,
                                                        struct workers_job *job);

/* Would a job with that deadline be taken now?  Any thread. */
bool workers_has_room(struct workers *workers, int64_t deadline_us);
/* Jobs that wait, of all loops.  Any thread. */
size_t workers_queued(struct workers *workers);

/*
 * Drains: refuses new jobs, processes all that wait, joins the threads and frees the pool.  The
 * loops of those jobs must still exist, and receive them afterwards.
 */
void workers_stop(struct workers *workers);

#endif
