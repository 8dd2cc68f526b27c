/*
 * clients: service accounts, for jobs: an administrator makes one and is shown its secret once;
 * POST /auth/token gives a token for it (grant_type client_credentials, RFC 6749, 4.4, in JSON).
 *
 * A secret is 256 random bits and cannot be guessed, so its digest is a plain SHA-256.
 */
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "auth_api/admin.h"
#include "auth_api/attempt.h"
#include "auth_api/auth.h"
#include "auth_api/credentials.h"
#include "auth_api/session.h"
#include "service_kit/audit.h"
#include "service_kit/log.h"

#define LIST_BYTES_MAX   1048576
#define ANSWER_BYTES_MAX (TOKEN_LENGTH_MAX + 512)

static const struct problem_kind PROBLEM_INVALID_CLIENT = {401, "invalid_client", "Invalid client",
                                                           "Invalid client credentials"};

struct client {
    struct store_query query; /* first: a query is its client */
    struct http_request *request;
    uint8_t id[UUID_SIZE], hash[SESSION_SECRET_SIZE];
    char name[STORE_USERNAME_MAX + 1], roles[ROLES_TEXT_SIZE];
    char secret[SESSION_TOKEN_SIZE];
    char address[PROXIES_ADDRESS_MAX];
};

static void end_client(struct client *client) {
    OPENSSL_cleanse(client->secret, sizeof client->secret);
    http_request_release(client->request);
}

static void digest(const char *text, size_t length, uint8_t hash[static SESSION_SECRET_SIZE]) {
    unsigned size = 0;
    if (EVP_Digest(text, length, hash, &size, EVP_sha256(), NULL) != 1 ||
        size != SESSION_SECRET_SIZE) {
        abort();
    }
}

static void send_client(struct client *client, const char *statement, bool writes,
                        void (*on_end)(struct store_query *, enum store_end, const PGresult *),
                        const struct store_params *params) {
    client->query =
        (struct store_query){.on_end = on_end, .statement = statement, .writes = writes};
    if (!store_query(http_thread_state(client->request), &client->query, params)) {
        auth_reply_busy(client->request);
        end_client(client);
    }
}

static void write_roles(struct json_writer *writer, const char *text) {
    unsigned roles = 0;
    (void)!roles_parse(text, strlen(text), ' ', &roles);
    json_write_key(writer, "roles");
    json_write_array_begin(writer);
    for (size_t i = 0; i < ROLE_COUNT; i++) {
        if ((roles & 1U << i) != 0) {
            json_write_string(writer, role_name(i));
        }
    }
    json_write_array_end(writer);
}

/* ---- POST /service-accounts/ ---- */

static void on_created(struct store_query *query, enum store_end end, const PGresult *rows) {
    struct client *client = (struct client *)query;
    if (end != STORE_DONE) {
        store_refuse(client->request, end);
    } else if (admin_done(client->request, PQgetvalue(rows, 0, 0))) {
        char id[UUID_TEXT_LENGTH + 1];
        uuid_format(client->id, id);
        struct json_writer *writer = json_writer_create(ANSWER_BYTES_MAX);
        json_write_object_begin(writer);
        json_write_member(writer, "client_id", id);
        json_write_member(writer, "client_secret", client->secret);
        json_write_member(writer, "name", client->name);
        write_roles(writer, client->roles);
        json_write_object_end(writer);
        http_reply(client->request, 201, writer);
    }
    end_client(client);
}

static bool read_name(struct http_request *request, struct client *client) {
    const struct json_node *node = json_member(http_json(request), "name");
    const char *reason = node == NULL ? "is required"
                         : node->type != JSON_STRING
                             ? "must be a string"
                             : credentials_name_refusal(node->text, node->length);
    if (reason != NULL) {
        http_reply_field(request, "name", reason);
        return false;
    }
    memcpy(client->name, node->text, node->length);
    return true;
}

void client_create(struct http_request *request) {
    static const char *const members[] = {"name", "roles"};
    struct auth_thread *thread = http_thread_state(request);
    struct client *client = http_alloc(request, sizeof *client);
    unsigned roles = 0;
    client->request = request;
    if (!http_only_members(request, http_json(request), members, 2) ||
        !read_name(request, client) ||
        !admin_read_roles(request, HTTP_ROLE_OPERATOR | HTTP_ROLE_AUDITOR, &roles)) {
        return;
    }
    if (roles == 0) {
        http_reply_field(request, "roles", "must not be empty");
        return;
    }
    uint8_t secret[SESSION_SECRET_SIZE];
    if (RAND_bytes(secret, sizeof secret) != 1) {
        abort();
    }
    base64url_encode(secret, sizeof secret, client->secret);
    OPENSSL_cleanse(secret, sizeof secret);
    digest(client->secret, strlen(client->secret), client->hash);
    uuid_v7(&thread->uuids, client->id);
    roles_format(roles, ' ', client->roles);
    struct store_params params = {.count = 0};
    session_add_caller(&params, request);
    store_add_text(&params, audit_origin(request));
    store_add_bytes(&params, client->id, UUID_SIZE);
    store_add_text(&params, client->name);
    store_add_bytes(&params, client->hash, sizeof client->hash);
    store_add_text(&params, client->roles);
    http_request_hold(request);
    send_client(client, "service_account_create", true, on_created, &params);
}

/* ---- GET /service-accounts/, DELETE /service-accounts/{id} ---- */

static void on_listed(struct store_query *query, enum store_end end, const PGresult *rows) {
    struct client *client = (struct client *)query;
    if (end != STORE_DONE) {
        store_refuse(client->request, end);
    } else if (session_caller_good(client->request, rows)) {
        struct json_writer *writer = json_writer_create(LIST_BYTES_MAX);
        json_write_array_begin(writer);
        for (int row = 0; row < PQntuples(rows) && !PQgetisnull(rows, row, 1); row++) {
            json_write_object_begin(writer);
            admin_write_account(writer, "name", rows, row);
            json_write_member(writer, "created_by", PQgetvalue(rows, row, 6));
            json_write_object_end(writer);
        }
        json_write_array_end(writer);
        http_reply(client->request, 200, writer);
    }
    end_client(client);
}

void clients_list(struct http_request *request) {
    struct client *client = http_alloc(request, sizeof *client);
    client->request = request;
    struct store_params params = {.count = 0};
    session_add_caller(&params, request);
    http_request_hold(request);
    send_client(client, "service_accounts", false, on_listed, &params);
}

static void on_disabled(struct store_query *query, enum store_end end, const PGresult *rows) {
    struct client *client = (struct client *)query;
    if (end != STORE_DONE) {
        store_refuse(client->request, end);
    } else if (admin_done(client->request, PQgetvalue(rows, 0, 0))) {
        http_reply_nothing(client->request);
    }
    end_client(client);
}

void client_disable(struct http_request *request) {
    struct http_text text = http_parameter(request, "id");
    struct client *client = http_alloc(request, sizeof *client);
    client->request = request;
    if (!uuid_parse(text.base, text.length, client->id)) {
        (void)!admin_done(request, "missing");
        return;
    }
    struct store_params params = {.count = 0};
    session_add_caller(&params, request);
    store_add_text(&params, audit_origin(request));
    store_add_bytes(&params, client->id, UUID_SIZE);
    http_request_hold(request);
    send_client(client, "service_account_disable", true, on_disabled, &params);
}

/* ---- POST /auth/token ---- */

static void reply_token(const struct client *client, const PGresult *rows) {
    const struct auth_thread *thread = http_thread_state(client->request);
    const struct auth *auth = thread->auth;
    int64_t lifetime_s = auth->access_token_expire_minutes * 60;
    struct token_grant grant = {.subject = client->id};
    char *token = NULL;
    if (roles_parse(PQgetvalue(rows, 0, 2), (size_t)PQgetlength(rows, 0, 2), ' ', &grant.roles)) {
        token = token_issue(&auth->tokens, &grant, (int64_t)time(NULL), lifetime_s);
    }
    if (token == NULL) {
        log_message(LOG_ERROR, "token_failed", "request_id", http_request_id(client->request));
        http_reply_kind(client->request, &PROBLEM_INTERNAL, NULL);
        return;
    }
    struct json_writer *writer = json_writer_create(ANSWER_BYTES_MAX);
    json_write_object_begin(writer);
    json_write_member(writer, "access_token", token);
    json_write_member(writer, "token_type", "bearer");
    json_write_key(writer, "expires_in");
    json_write_integer(writer, lifetime_s);
    json_write_object_end(writer);
    http_reply(client->request, 200, writer);
    OPENSSL_cleanse(token, strlen(token));
    free(token);
}

static void on_client(struct store_query *query, enum store_end end, const PGresult *rows) {
    struct client *client = (struct client *)query;
    const char *verdict = end == STORE_DONE ? PQgetvalue(rows, 0, 0) : "";
    if (end != STORE_DONE) {
        store_refuse(client->request, end == STORE_UNKNOWN ? STORE_UNAVAILABLE : end);
    } else if (strcmp(verdict, "go") == 0) {
        reply_token(client, rows);
    } else if (strcmp(verdict, "no") == 0) {
        http_reply_kind(client->request, &PROBLEM_INVALID_CLIENT, NULL);
    } else {
        attempt_reply_too_many(client->request, verdict, false,
                               strtoll(PQgetvalue(rows, 0, 1), NULL, 10));
    }
    end_client(client);
}

/* A member that must be a string; else 422 was answered. */
static const struct json_node *read_text(struct http_request *request, const char *name) {
    const struct json_node *node = json_member(http_json(request), name);
    if (node == NULL || node->type != JSON_STRING) {
        http_reply_field(request, name, node == NULL ? "is required" : "must be a string");
        return NULL;
    }
    return node;
}

void client_token(struct http_request *request) {
    const struct auth_thread *thread = http_thread_state(request);
    const struct json_node *type = read_text(request, "grant_type");
    if (type == NULL) {
        return;
    }
    if (strcmp(type->text, "client_credentials") != 0) {
        http_reply_field(request, "grant_type", "must be client_credentials");
        return;
    }
    const struct json_node *id = read_text(request, "client_id");
    const struct json_node *secret = id == NULL ? NULL : read_text(request, "client_secret");
    if (secret == NULL) {
        return;
    }
    struct client *client = http_alloc(request, sizeof *client);
    client->request = request;
    (void)!uuid_parse(id->text, id->length, client->id); /* what is no id is nobody's */
    digest(secret->text, secret->length, client->hash);
    proxies_client_network(http_client(request), client->address);
    struct store_params params = {.count = 0};
    store_add_bytes(&params, client->id, UUID_SIZE);
    store_add_bytes(&params, client->hash, sizeof client->hash);
    store_add_text(&params, client->address);
    store_add_text(&params, thread->auth->limits);
    store_add_text(&params, audit_origin(request));
    http_request_hold(request);
    send_client(client, "client_begin", true, on_client, &params);
}
