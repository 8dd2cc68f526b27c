/*
 * Design.  Tokens are made here and nowhere else.  The times that a pair is valid for are the
 * database's: no token outlives its session.
 */
#include "auth_api/session.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "auth_api/auth.h"
#include "service_kit/audit.h"
#include "service_kit/log.h"

#define ANSWER_BYTES_MAX (TOKEN_LENGTH_MAX + 512)

static const struct problem_kind PROBLEM_INVALID_GRANT = {
    401, "invalid_grant", "Invalid refresh token", "The refresh token is not valid."};
static const struct problem_kind PROBLEM_INVALID_CREDENTIALS = {
    401, "invalid_credentials", "Invalid credentials", "Invalid credentials"};

/* ---- secrets ---- */

static void digest(const uint8_t secret[static SESSION_SECRET_SIZE],
                   uint8_t hash[static SESSION_SECRET_SIZE]) {
    unsigned int length = 0;
    if (EVP_Digest(secret, SESSION_SECRET_SIZE, hash, &length, EVP_sha256(), NULL) != 1 ||
        length != SESSION_SECRET_SIZE) {
        abort();
    }
}

static void keyed(const void *key, size_t key_size, const void *bytes, size_t size,
                  uint8_t out[static SESSION_SECRET_SIZE]) {
    unsigned int length = 0;
    if (HMAC(EVP_sha256(), key, (int)key_size, bytes, size, out, &length) == NULL ||
        length != SESSION_SECRET_SIZE) {
        abort();
    }
}

void session_derive_key(struct auth *auth) {
    static const char label[] = "pacioli refresh token successor v1";
    keyed(auth->service.jwt_secret, strlen(auth->service.jwt_secret), label, sizeof label - 1,
          auth->refresh_key);
}

/* ---- the answer ---- */

struct lifetimes {
    int64_t access_s, refresh_s;
};

static bool write_pair(const struct session_grant *grant, unsigned roles,
                       const struct lifetimes *lives, struct json_writer *writer) {
    const struct auth_thread *thread = http_thread_state(grant->request);
    const struct token_grant claims = {
        .subject = grant->user, .roles = roles, .session = grant->session};
    char *token = token_issue(&thread->auth->tokens, &claims, (int64_t)time(NULL), lives->access_s);
    if (token == NULL) {
        return false;
    }
    char session[UUID_TEXT_LENGTH + 1];
    uuid_format(grant->session, session);
    json_write_object_begin(writer);
    json_write_member(writer, "access_token", token);
    json_write_member(writer, "token_type", "bearer");
    json_write_key(writer, "expires_in");
    json_write_integer(writer, lives->access_s);
    json_write_member(writer, "refresh_token", grant->refresh_token);
    json_write_key(writer, "refresh_expires_in");
    json_write_integer(writer, lives->refresh_s);
    json_write_member(writer, "session_id", session);
    json_write_object_end(writer);
    OPENSSL_cleanse(token, strlen(token));
    free(token);
    return true;
}

/* Columns from `first` on: the user's roles, and the seconds that the tokens are valid for. */
static void reply_pair(struct session_grant *grant, const PGresult *rows, int first) {
    unsigned roles = 0;
    const struct lifetimes lives = {.access_s = strtoll(PQgetvalue(rows, 0, first + 1), NULL, 10),
                                    .refresh_s = strtoll(PQgetvalue(rows, 0, first + 2), NULL, 10)};
    struct json_writer *writer = json_writer_create(ANSWER_BYTES_MAX);
    if (roles_parse(PQgetvalue(rows, 0, first), (size_t)PQgetlength(rows, 0, first), ' ', &roles) &&
        lives.access_s > 0 && write_pair(grant, roles, &lives, writer)) {
        http_reply(grant->request, 200, writer);
        return;
    }
    json_writer_free(writer);
    log_message(LOG_ERROR, "token_failed", "request_id", http_request_id(grant->request));
    http_reply_kind(grant->request, &PROBLEM_INTERNAL, NULL);
}

static void end_grant(struct session_grant *grant) {
    OPENSSL_cleanse(grant->refresh_token, sizeof grant->refresh_token);
    http_request_release(grant->request);
}

/* ---- a login ---- */

static void on_opened(struct store_query *query, enum store_end end, const PGresult *rows) {
    struct session_grant *grant = (struct session_grant *)query;
    if (end != STORE_DONE) {
        store_refuse(grant->request, end);
    } else if (PQntuples(rows) == 0) { /* disabled since he was looked up */
        http_reply_kind(grant->request, &PROBLEM_INVALID_CREDENTIALS, NULL);
    } else {
        reply_pair(grant, rows, 0);
    }
    end_grant(grant);
}

void session_open(struct session_grant *grant, struct http_request *request,
                  const uint8_t user[static UUID_SIZE]) {
    struct auth_thread *thread = http_thread_state(request);
    const struct auth *auth = thread->auth;
    uint8_t secret[SESSION_SECRET_SIZE], hash[SESSION_SECRET_SIZE];
    if (RAND_bytes(secret, sizeof secret) != 1) {
        abort();
    }
    digest(secret, hash);
    base64url_encode(secret, sizeof secret, grant->refresh_token);
    OPENSSL_cleanse(secret, sizeof secret);

    grant->request = request;
    memcpy(grant->user, user, UUID_SIZE);
    uuid_v7(&thread->uuids, grant->session);
    grant->query.on_end = on_opened;
    grant->query.statement = "session_open";
    grant->query.writes = true;
    struct store_params params = {.count = 0};
    store_add_bytes(&params, grant->session, UUID_SIZE);
    store_add_bytes(&params, grant->user, UUID_SIZE);
    store_add_bytes(&params, hash, sizeof hash);
    store_add_integer(&params, auth->session_idle_s);
    store_add_integer(&params, auth->session_total_s);
    store_add_integer(&params, auth->access_token_expire_minutes * 60);
    store_add_integer(&params, auth->sessions_per_user_max);
    store_add_text(&params, audit_origin(request));
    if (!store_query(thread, &grant->query, &params)) {
        auth_reply_busy(request);
        end_grant(grant);
    }
}

/* ---- POST /auth/refresh ---- */

static void log_reuse(const PGresult *rows) {
    struct log_line line;
    log_begin(&line, LOG_WARN, "authn_token_reuse");
    log_string(&line, "session_id", PQgetvalue(rows, 0, 1));
    log_string(&line, "user_id", PQgetvalue(rows, 0, 2));
    log_end(&line);
}

static void on_refreshed(struct store_query *query, enum store_end end, const PGresult *rows) {
    struct session_grant *grant = (struct session_grant *)query;
    if (end != STORE_DONE) {
        store_refuse(grant->request, end);
        end_grant(grant);
        return;
    }
    const char *outcome = PQgetvalue(rows, 0, 0);
    bool renewed = strcmp(outcome, "renewed") == 0 || strcmp(outcome, "repeated") == 0;
    if (renewed && uuid_parse(PQgetvalue(rows, 0, 1), UUID_TEXT_LENGTH, grant->session) &&
        uuid_parse(PQgetvalue(rows, 0, 2), UUID_TEXT_LENGTH, grant->user)) {
        reply_pair(grant, rows, 3);
    } else {
        if (strcmp(outcome, "reused") == 0) {
            log_reuse(rows);
        }
        http_reply_kind(grant->request, &PROBLEM_INVALID_GRANT, NULL);
    }
    end_grant(grant);
}

/* The secret of a token as we issue them, and nothing else. */
static bool read_token(const struct json_node *node, uint8_t secret[static SESSION_SECRET_SIZE]) {
    size_t size = 0;
    return node->length == SESSION_TOKEN_SIZE - 1 &&
           base64url_decode(node->text, node->length, secret, &size) && size == SESSION_SECRET_SIZE;
}

static void refresh(struct session_grant *grant, const uint8_t secret[static SESSION_SECRET_SIZE]) {
    struct http_request *request = grant->request;
    struct auth_thread *thread = http_thread_state(request);
    const struct auth *auth = thread->auth;
    uint8_t next[SESSION_SECRET_SIZE], hash[SESSION_SECRET_SIZE], next_hash[SESSION_SECRET_SIZE];
    keyed(auth->refresh_key, sizeof auth->refresh_key, secret, SESSION_SECRET_SIZE, next);
    digest(secret, hash);
    digest(next, next_hash);
    base64url_encode(next, sizeof next, grant->refresh_token);
    OPENSSL_cleanse(next, sizeof next);

    struct store_params params = {.count = 0};
    store_add_bytes(&params, hash, sizeof hash);
    store_add_bytes(&params, next_hash, sizeof next_hash);
    store_add_integer(&params, auth->refresh_grace_s);
    store_add_integer(&params, auth->session_idle_s);
    store_add_integer(&params, auth->access_token_expire_minutes * 60);
    store_add_text(&params, audit_origin(request));
    http_request_hold(request);
    if (!store_query(thread, &grant->query, &params)) {
        auth_reply_busy(request);
        end_grant(grant);
    }
}

void session_refresh(struct http_request *request) {
    struct session_grant *grant = http_alloc(request, sizeof *grant);
    grant->request = request;
    grant->query.on_end = on_refreshed;
    grant->query.statement = "session_refresh";
    grant->query.writes = true;
    const struct json_node *token = json_member(http_json(request), "refresh_token");
    if (token == NULL || token->type != JSON_STRING) {
        http_reply_field(request, "refresh_token",
                         token == NULL ? "is required" : "must be a string");
        return;
    }
    uint8_t secret[SESSION_SECRET_SIZE + 1]; /* and what is left of a text that is too long */
    if (read_token(token, secret)) {
        refresh(grant, secret);
    } else {
        http_reply_kind(request, &PROBLEM_INVALID_GRANT, NULL);
    }
    OPENSSL_cleanse(secret, sizeof secret);
}

/* ---- the caller ---- */

void session_add_caller(struct store_params *params, const struct http_request *request) {
    store_add_bytes(params, http_principal(request), UUID_SIZE);
    store_add_bytes(params, http_session(request), UUID_SIZE);
}

bool session_caller_good(struct http_request *request, const PGresult *rows) {
    if (PQntuples(rows) > 0 && PQgetvalue(rows, 0, 0)[0] == 't') {
        return true;
    }
    http_reply_invalid_token(request, "The session has ended.");
    return false;
}
