/*
 * token_feed: keeps a process' token keys and revocations current, from the service that issues the
 * tokens.  One thread of its own, with libcurl: no event loop ever waits for another service.
 *
 * Revocations are asked for every interval.  Each answer names the version of the issuer's keys;
 * another version than the last one makes it fetch the JWK Set at once.  Without a feed of
 * revocations the JWK Set is fetched every second.  A token that names an unknown key makes it
 * fetch the set too, at most every 30 s.
 */
#ifndef PACIOLI_SERVICE_KIT_TOKEN_FEED_H
#define PACIOLI_SERVICE_KIT_TOKEN_FEED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct token_keys;
struct token_revocations;

struct token_feed_settings {
    const char *jwks_url;        /* "": keys are not followed */
    const char *revocations_url; /* "": revocations are not followed */
    const char *secret;          /* for the revocations, as a bearer token */
    int64_t interval_ms;
    struct token_keys *keys;
    struct token_revocations *revocations;
};

struct token_feed;

/* NULL + one line: libcurl or the thread could not be started. */
struct token_feed *token_feed_start(const struct token_feed_settings *settings, char *error,
                                    size_t error_size);
void token_feed_stop(struct token_feed *feed); /* NULL is fine */

/* Any thread. */
bool token_feed_has_keys(const struct token_feed *feed);
uint64_t token_feed_failures(const struct token_feed *feed);

#endif
