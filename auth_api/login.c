/*
 * login: POST /auth/login opens a session for the right password.
 *
 *   login_create -attempt_begin-> on_begun -hashing_start-> on_verified
 *                -attempt_pass-> on_ended -session_open-> answered
 *                -attempt_fail-> on_ended -> answered
 *
 * An unknown user, a wrong password, a disabled user, a name that is locked and an unusable stored
 * value take the same way, with the same work (password_verify), the same statements and the same
 * answer, byte by byte.
 */
#include <string.h>

#include "auth_api/attempt.h"
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
    struct attempt attempt;
    struct session_grant grant;
    struct http_request *request;
};

static struct login *login_of(struct attempt *attempt) {
    return (struct login *)(void *)((char *)attempt - offsetof(struct login, attempt));
}

/* Why it is no login, for the trail; NULL: it is one. */
static const char *refusal(const struct login *login) {
    const struct attempt *attempt = &login->attempt;
    if (!attempt->found) {
        return "unknown_user";
    }
    if (attempt->stopped) {
        return "locked";
    }
    if (attempt->disabled) {
        return "disabled";
    }
    return login->hashing.good ? NULL : "wrong_password";
}

static void on_ended(struct attempt *attempt, bool written) {
    struct login *login = login_of(attempt);
    if (written && refusal(login) == NULL) {
        session_open(&login->grant, login->request, attempt->user);
        return;
    }
    if (written) {
        http_reply_kind(login->request, &PROBLEM_INVALID_CREDENTIALS, NULL);
    }
    http_request_release(login->request);
}

static void on_verified(struct hashing *hashing) {
    struct login *login = (struct login *)hashing;
    if (!hashing->job.processed) {
        auth_reply_later(login->request, &PROBLEM_DEADLINE);
        attempt_undo(&login->attempt);
        return;
    }
    const char *reason = refusal(login);
    if (reason != NULL) {
        attempt_fail(&login->attempt, reason);
    } else {
        attempt_pass(&login->attempt, hashing->remade ? hashing->made : NULL);
    }
}

/* Somebody has to look at such a row: its user cannot log in.  Never its value, not even in part.
 */
static void log_unusable(const struct attempt *attempt) {
    char id[UUID_TEXT_LENGTH + 1];
    uuid_format(attempt->user, id);
    log_message(LOG_ERROR, "stored_password_unusable", "user_id", id);
}

static void on_begun(struct attempt *attempt, bool go) {
    struct login *login = login_of(attempt);
    if (!go) {
        hashing_wipe(&login->hashing);
        http_request_release(login->request);
        return;
    }
    const char *stored = attempt->password_hash;
    login->hashing.stored = attempt->found ? stored : NULL;
    if (attempt->found && password_stored_form(stored, strlen(stored)) == PASSWORD_FORM_UNKNOWN) {
        log_unusable(attempt);
    }
    if (!hashing_start(&login->hashing)) {
        attempt_undo(attempt);
    }
}

void login_create(struct http_request *request) {
    struct login *login = http_alloc(request, sizeof *login);
    struct credentials credentials;
    login->request = request;
    login->hashing.request = request;
    login->hashing.on_end = on_verified;
    login->hashing.remake = true;
    login->attempt.request = request;
    login->attempt.on_begun = on_begun;
    login->attempt.on_ended = on_ended;
    if (!credentials_read(request, CREDENTIALS_OLD, &credentials, &login->hashing)) {
        return;
    }
    memcpy(login->attempt.username, credentials.username, sizeof login->attempt.username);
    if (!hashing_has_room(request)) {
        hashing_wipe(&login->hashing);
        return;
    }
    http_request_hold(request);
    if (!attempt_begin(&login->attempt)) {
        hashing_wipe(&login->hashing);
        http_request_release(request);
    }
}
