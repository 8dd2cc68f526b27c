/*
 * hashing: the work of password.c on the worker threads, for a request.
 */
#ifndef PACIOLI_AUTH_API_HASHING_H
#define PACIOLI_AUTH_API_HASHING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth_api/password.h"
#include "service_kit/workers.h"

struct auth_thread;
struct http_request;

/* Zero-initialise it; it must stay, and the request be held, until on_end. */
struct hashing {
    struct workers_job job; /* first: a job is its hashing */
    /* In the loop's thread, exactly once.  `job.processed` false: there was no time; `good` says
     * nothing then. */
    void (*on_end)(struct hashing *hashing);
    struct http_request *request;

    /* What to do.  The password is wiped as soon as it was used, and whatever becomes of the job.
     */
    char password[PASSWORD_BYTES_MAX + 1];
    size_t password_length;
    const char *stored; /* verify against it */
    bool remake; /* and when it matches, but would be stored otherwise today, make a better one, */
    bool make;   /* make a stored value instead, */
    char made[PASSWORD_STORED_SIZE]; /* here */

    bool good;   /* the result: made, or the right password */
    bool remade; /* the better value was made */

    /* Its own. */
    struct auth_thread *thread;
    int64_t begun_us;
};

/* False: the queue is full, on_end is not called, and the request was answered with 503. */
__attribute__((warn_unused_result)) bool hashing_start(struct hashing *hashing);
/* False: the queue is full now, and the request was answered with 503: before anything is done that
 * would have to be undone. */
__attribute__((warn_unused_result)) bool hashing_has_room(struct http_request *request);
void hashing_wipe(struct hashing *hashing);

#endif
