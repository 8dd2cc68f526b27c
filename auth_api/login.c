/*
 * login: POST /auth/login opens a session for the right password.
 *
 *   login_create -store_find-> on_found -hashing_start-> on_verified -session_open-> answered
 *
 * An unknown user, a wrong password, a disabled user and an unusable stored value take the same
 * way, with the same work (password_verify) and the same answer, byte by byte.
 */
#include <string.h>

#include "auth_api/auth.h"
#include "auth_api/credentials.h"
#include "auth_api/hashing.h"
#include "auth_api/session.h"
#include "auth_api/store.h"
#include "service_kit/http.h"
#include "service_kit/log.h"

static const struct problem_kind PROBLEM_INVALID_CREDENTIALS = {
    401, "invalid_credentials", "Invalid credentials", "Invalid credentials"};

struct login {
    struct hashing hashing; /* first: a hashing is its login */
    struct store_call store;
    struct session_grant grant;
    struct credentials credentials;
    struct http_request *request;
};

static void on_verified(struct hashing *hashing) {
    struct login *login = (struct login *)hashing;
    if (!hashing->job.processed) {
        auth_reply_later(login->request, &PROBLEM_DEADLINE);
    } else if (!hashing->good || login->store.disabled) {
        http_reply_kind(login->request, &PROBLEM_INVALID_CREDENTIALS, NULL);
    } else {
        session_open(&login->grant, login->request, login->store.id);
        return;
    }
    http_request_release(login->request);
}

/* Somebody has to look at such a row: its user cannot log in.  Never its value, not even in part.
 */
static void log_unusable(const struct login *login) {
    char id[UUID_TEXT_LENGTH + 1];
    uuid_format(login->store.id, id);
    log_message(LOG_ERROR, "stored_password_unusable", "user_id", id);
}

static void on_found(struct store_call *store, enum store_end end) {
    struct login *login = (struct login *)(void *)((char *)store - offsetof(struct login, store));
    bool found = end == STORE_DONE;
    if (found || end == STORE_NO_USER) {
        login->hashing.stored = found ? store->password_hash : NULL;
        if (found && password_stored_form(store->password_hash, strlen(store->password_hash)) ==
                         PASSWORD_FORM_UNKNOWN) {
            log_unusable(login);
        }
        if (!hashing_start(&login->hashing)) {
            http_request_release(login->request);
        }
        return;
    }
    hashing_wipe(&login->hashing);
    if (end == STORE_UNAVAILABLE) {
        auth_reply_later(login->request, &PROBLEM_UNAVAILABLE);
    } else {
        http_reply_kind(login->request, &PROBLEM_INTERNAL, NULL);
    }
    http_request_release(login->request);
}

void login_create(struct http_request *request) {
    struct auth_thread *thread = http_thread_state(request);
    struct login *login = http_alloc(request, sizeof *login);
    login->request = request;
    login->hashing.request = request;
    login->hashing.on_end = on_verified;
    login->store.on_end = on_found;
    if (!credentials_read(request, &login->credentials, &login->hashing)) {
        return;
    }
    http_request_hold(request);
    if (!store_find(thread, &login->store, login->credentials.username)) {
        hashing_wipe(&login->hashing);
        auth_reply_busy(request);
        http_request_release(request);
    }
}
