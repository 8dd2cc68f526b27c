/*
 * admin: what administrators do with users and service accounts; the database asks once more
 * whether they are (migrations/auth/deploy/administration.sql).
 */
#ifndef PACIOLI_AUTH_API_ADMIN_H
#define PACIOLI_AUTH_API_ADMIN_H

#include "auth_api/store.h"
#include "service_kit/http.h"

#define ADMIN_GOOD_ "(SELECT auth.admin_is_good($1::uuid, $2::uuid) AS good) AS c"
#define ADMIN_USER_                                                                                \
    "u.id, u.username, array_to_string(u.roles, ' '), auth.utc(u.created_at),"                     \
    " auth.utc(u.disabled_at)"

#define ADMIN_STATEMENTS                                                                           \
    {"admin_users", "SELECT c.good, " ADMIN_USER_ " FROM " ADMIN_GOOD_                             \
                    " LEFT JOIN LATERAL (SELECT * FROM auth.users WHERE c.good"                    \
                    " AND ($3::text IS NULL OR strpos(username, $3) > 0)"                          \
                    " AND ($4::uuid IS NULL OR id < $4) ORDER BY id DESC LIMIT $5::bigint)"        \
                    " AS u ON true ORDER BY u.id DESC"},                                           \
        {"admin_user", "SELECT c.good, " ADMIN_USER_ " FROM " ADMIN_GOOD_                          \
                       " LEFT JOIN auth.users AS u ON c.good AND u.id = $3::uuid"},                \
        {"user_change", "SELECT auth.user_change($1::uuid, $2::uuid, $3::jsonb, $4::uuid,"         \
                        " $5::text, $6::boolean)"},                                                \
        {"user_unlock", "SELECT auth.user_unlock($1::uuid, $2::uuid, $3::jsonb, $4::uuid,"         \
                        " $5::bytea)"},                                                            \
        {"service_account_create", "SELECT auth.service_account_create($1::uuid, $2::uuid,"        \
                                   " $3::jsonb, $4::uuid, $5::text, $6::bytea, $7::text)"},        \
        {"service_account_disable", "SELECT auth.service_account_disable($1::uuid, $2::uuid,"      \
                                    " $3::jsonb, $4::uuid)"},                                      \
        {"service_accounts",                                                                       \
         "SELECT c.good, u.id, u.name, array_to_string(u.roles, ' '),"                             \
         " auth.utc(u.created_at), auth.utc(u.disabled_at), u.created_by"                          \
         " FROM " ADMIN_GOOD_ " LEFT JOIN (SELECT * FROM auth.service_account ORDER BY id DESC"    \
         " LIMIT 1000) AS u ON c.good ORDER BY u.id DESC"},                                        \
    {                                                                                              \
        "client_begin", "SELECT verdict, wait_ms, roles FROM auth.client_begin($1::uuid,"          \
                        " $2::bytea, $3::text, $4::jsonb, $5::jsonb)"                              \
    }

/* A member `roles`, a list of names of `allowed` ones; else 422 was answered. */
__attribute__((warn_unused_result)) bool admin_read_roles(struct http_request *request,
                                                          unsigned allowed, unsigned *roles);
/* The members of a user or service account that both have; columns from the second one on. */
void admin_write_account(struct json_writer *writer, const char *name_member, const PGresult *rows,
                         int row);
/* True for the outcome "done"; else answered. */
__attribute__((warn_unused_result)) bool admin_done(struct http_request *request,
                                                    const char *outcome);

#endif
