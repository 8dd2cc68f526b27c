/*
 * session: what a login and a refresh have in common: the pair of tokens, and how it is answered.
 *
 * A session is opened by a login and renewed by each refresh; it is the family of the refresh
 * tokens that descend from that login.  The database decides (migrations/auth/deploy/sessions.sql).
 * A refresh token is 256 random bits, of which only the digest is stored.  Its successor is derived
 * from it under a key of the server's, so that a lost answer can be given again although nothing
 * secret is kept.
 */
#ifndef PACIOLI_AUTH_API_SESSION_H
#define PACIOLI_AUTH_API_SESSION_H

#include <stdint.h>

#include "auth_api/store.h"
#include "service_kit/base64url.h"
#include "service_kit/http.h"
#include "service_kit/uuid.h"

#define SESSION_SECRET_SIZE 32
#define SESSION_TOKEN_SIZE  (BASE64URL_LENGTH(SESSION_SECRET_SIZE) + 1)

struct auth;

/* $1 is the caller, $2 his session or null, wherever the first column is `good`. */
#define SESSION_STATEMENTS                                                                         \
    {"session_open",                                                                               \
     "SELECT user_roles, access_s, refresh_s FROM auth.session_open($1::uuid, $2::uuid,"           \
     " $3::bytea, $4::bigint, $5::bigint, $6::bigint, $7::bigint, $8::jsonb)"},                    \
        {"session_refresh",                                                                        \
         "SELECT outcome, session_id, user_id, user_roles, access_s, refresh_s"                    \
         " FROM auth.session_refresh($1::bytea, $2::bytea, $3::bigint, $4::bigint, $5::bigint,"    \
         " $6::jsonb)"},                                                                           \
        {"session_list",                                                                           \
         "SELECT c.good, s.id, auth.utc(s.created_at), auth.utc(s.last_used_at),"                  \
         " auth.utc(s.idle_ends_at), s.address, s.agent, coalesce(s.id = $2::uuid, false)"         \
         " FROM (SELECT auth.caller_is_good($1::uuid, $2::uuid) AS good) AS c"                     \
         " LEFT JOIN auth.session AS s ON c.good AND s.user_id = $1::uuid"                         \
         " AND s.ended_at IS NULL AND s.idle_ends_at > now()"                                      \
         " ORDER BY s.created_at DESC, s.id DESC LIMIT 1000"},                                     \
        {"session_end",                                                                            \
         "SELECT c.good, (SELECT auth.session_end(s.id, 'ended', $1::uuid, $3::jsonb)"             \
         " FROM auth.session AS s WHERE c.good AND s.id = $4::uuid AND s.user_id = $1::uuid"       \
         " AND s.ended_at IS NULL AND s.idle_ends_at > now())"                                     \
         " FROM (SELECT auth.caller_is_good($1::uuid, $2::uuid) AS good) AS c"},                   \
        {"session_logout",                                                                         \
         "SELECT c.good, CASE WHEN NOT c.good THEN NULL"                                           \
         " WHEN $2::uuid IS NULL THEN concat(auth.tokens_revoke($1::uuid),"                        \
         " auth.audit_write('authn_token_revoked', 'success', $1::uuid::text, $1::uuid::text,"     \
         " 'logout', $3::jsonb))"                                                                  \
         " ELSE auth.session_end($2::uuid, 'logout', $1::uuid, $3::jsonb)::text END"               \
         " FROM (SELECT auth.caller_is_good($1::uuid, $2::uuid) AS good) AS c"},                   \
        {"user_me",                                                                                \
         "SELECT c.good, u.id, u.username, array_to_string(u.roles, ' '), auth.utc(u.created_at)"  \
         " FROM (SELECT auth.caller_is_good($1::uuid, $2::uuid) AS good) AS c"                     \
         " LEFT JOIN auth.users AS u ON c.good AND u.id = $1::uuid"},                              \
        {"password_find", "SELECT c.good, u.username"                                              \
                          " FROM (SELECT auth.caller_is_good($1::uuid, $2::uuid) AS good) AS c"    \
                          " LEFT JOIN auth.users AS u ON c.good AND u.id = $1::uuid"},             \
        {"password_refuse",                                                                        \
         "SELECT auth.audit_write('authn_password_change_fail', 'failure', $1::uuid::text,"        \
         " $1::uuid::text, 'wrong_password', $2::jsonb)"},                                         \
    {                                                                                              \
        "password_change",                                                                         \
            "SELECT auth.password_change($1::uuid, $2::uuid, $3::text, $4::text, $5::jsonb)"       \
    }

/* A pair of tokens in the making.  Zero-initialise it; it must stay, and the request be held, until
 * the request is released by it. */
struct session_grant {
    struct store_query query; /* first: a query is its grant */
    struct http_request *request;
    uint8_t user[UUID_SIZE], session[UUID_SIZE];
    char refresh_token[SESSION_TOKEN_SIZE];
};

/* For the start: the key that successors are derived under. */
void session_derive_key(struct auth *auth);

/* A login has succeeded: opens a session, answers with its tokens, and releases the request. */
void session_open(struct session_grant *grant, struct http_request *request,
                  const uint8_t user[static UUID_SIZE]);

/* The caller of a bearer route as parameters $1 and $2 of SESSION_CALLER_. */
void session_add_caller(struct store_params *params, const struct http_request *request);
/* The first column of a row says whether the caller is still good; else 401 was answered. */
__attribute__((warn_unused_result)) bool session_caller_good(struct http_request *request,
                                                             const PGresult *rows);

#endif
