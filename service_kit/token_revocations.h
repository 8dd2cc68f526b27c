/*
 * token_revocations: access tokens that are refused although they are well signed: those of a
 * session that has ended, and those of a user that name no session and were issued before something
 * about him changed.  One set a process, shared by its threads, kept until the tokens have expired.
 *
 * A set that nobody has promised to keep current (token_revocations_follow) refuses nothing.  One
 * that is followed lets nothing pass before it was loaded once, and, if so configured, when it has
 * not been current for too long.
 */
#ifndef PACIOLI_SERVICE_KIT_TOKEN_REVOCATIONS_H
#define PACIOLI_SERVICE_KIT_TOKEN_REVOCATIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "service_kit/token.h"

struct token_revocations;

struct token_revocation {
    uint8_t subject[16];         /* of a session, or a user */
    bool user;                   /* a user's: tokens without a session, issued up to ... */
    int64_t issued_up_to_unix_s; /* ... this */
    int64_t expires_at_unix_s;   /* all such tokens have expired by then */
};

struct token_revocations *token_revocations_create(void);
void token_revocations_free(struct token_revocations *set);

/* Any thread, all below.  `stale_max_s`: 0: what is known is used, however old. */
void token_revocations_follow(struct token_revocations *set, int64_t stale_max_s);
/* False: the set is full; it is out of date from now on. */
__attribute__((warn_unused_result)) bool token_revocations_add(struct token_revocations *set,
                                                               const struct token_revocation *list,
                                                               size_t count, int64_t now_unix_s);
/* All that there was at `asked_at_us` (loop_clock_us) has been added. */
void token_revocations_current(struct token_revocations *set, int64_t asked_at_us);
/* May tokens be judged by it? */
bool token_revocations_usable(const struct token_revocations *set, int64_t now_us);
/* Microseconds since it was current; -1: never, or not followed. */
int64_t token_revocations_age_us(const struct token_revocations *set, int64_t now_us);
size_t token_revocations_count(const struct token_revocations *set);

bool token_revocations_refuse(const struct token_revocations *set,
                              const struct token_claims *claims);

#endif
