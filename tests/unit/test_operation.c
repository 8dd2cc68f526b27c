/*
 * operation and problems: what a money body may hold, the form of keys, and the answer to every
 * way in which a command can end.
 */
#include "wallet_api/operation.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "wallet_api/problems.h"

#define A "0a000000-0000-4000-8000-00000000000a"
#define B "0b000000-0000-4000-8000-00000000000b"

/* ---- reading ---- */

struct reading {
    const char *body;
    enum posting_kind kind;
    enum operation_source source;
    const char *wrong; /* the fields refused, in order, each with a blank behind it */
};

#define OWN "\"account_id\":\"" A "\","
#define KEY "\"idempotency_key\":\"key-00001\""

static const struct reading READINGS[] = {
    {"{" OWN "\"amount\":\"1.50\"," KEY "}", POSTING_DEPOSIT, OPERATION_SINGLE, ""},
    {"{" OWN "\"amount\":1.50," KEY "}", POSTING_WITHDRAW, OPERATION_SINGLE, ""},
    {"{" OWN "\"amount\":100}", POSTING_DEPOSIT, OPERATION_SINGLE, ""},
    {"{\"from_account_id\":\"" A "\",\"to_account_id\":\"" B "\",\"amount\":1," KEY "}",
     POSTING_TRANSFER, OPERATION_SINGLE, ""},
    {"{\"type\":\"deposit\"," OWN "\"amount\":1," KEY "}", POSTING_DEPOSIT, OPERATION_OF_BATCH, ""},
    /* absent */
    {"{}", POSTING_DEPOSIT, OPERATION_SINGLE, "account_id amount "},
    {"{}", POSTING_TRANSFER, OPERATION_SINGLE, "from_account_id to_account_id amount "},
    {"{\"type\":\"deposit\"," OWN "\"amount\":1}", POSTING_DEPOSIT, OPERATION_OF_BATCH,
     "idempotency_key "},
    /* account ids */
    {"{\"account_id\":7,\"amount\":1}", POSTING_DEPOSIT, OPERATION_SINGLE, "account_id "},
    {"{\"account_id\":\"" A "0\",\"amount\":1}", POSTING_DEPOSIT, OPERATION_SINGLE, "account_id "},
    {"{\"account_id\":null,\"amount\":1}", POSTING_DEPOSIT, OPERATION_SINGLE, "account_id "},
    {"{\"from_account_id\":\"" A "\",\"to_account_id\":\"x\",\"amount\":1}", POSTING_TRANSFER,
     OPERATION_SINGLE, "to_account_id "},
    /* amounts */
    {"{" OWN "\"amount\":0}", POSTING_DEPOSIT, OPERATION_SINGLE, "amount "},
    {"{" OWN "\"amount\":\"0.00\"}", POSTING_DEPOSIT, OPERATION_SINGLE, "amount "},
    {"{" OWN "\"amount\":-1}", POSTING_DEPOSIT, OPERATION_SINGLE, "amount "},
    {"{" OWN "\"amount\":1e2}", POSTING_DEPOSIT, OPERATION_SINGLE, "amount "},
    {"{" OWN "\"amount\":\"1e2\"}", POSTING_DEPOSIT, OPERATION_SINGLE, "amount "},
    {"{" OWN "\"amount\":\"+1\"}", POSTING_DEPOSIT, OPERATION_SINGLE, "amount "},
    {"{" OWN "\"amount\":\" 1\"}", POSTING_DEPOSIT, OPERATION_SINGLE, "amount "},
    {"{" OWN "\"amount\":\"1,5\"}", POSTING_DEPOSIT, OPERATION_SINGLE, "amount "},
    {"{" OWN "\"amount\":\"01\"}", POSTING_DEPOSIT, OPERATION_SINGLE, "amount "},
    {"{" OWN "\"amount\":\"\"}", POSTING_DEPOSIT, OPERATION_SINGLE, "amount "},
    {"{" OWN "\"amount\":true}", POSTING_DEPOSIT, OPERATION_SINGLE, "amount "},
    {"{" OWN "\"amount\":null}", POSTING_DEPOSIT, OPERATION_SINGLE, "amount "},
    {"{" OWN "\"amount\":[1]}", POSTING_DEPOSIT, OPERATION_SINGLE, "amount "},
    {"{" OWN "\"amount\":100000000000000000000000000000000000000}", POSTING_DEPOSIT,
     OPERATION_SINGLE, "amount "},
    /* keys */
    {"{" OWN "\"amount\":1,\"idempotency_key\":\"short\"}", POSTING_DEPOSIT, OPERATION_SINGLE,
     "idempotency_key "},
    {"{" OWN "\"amount\":1,\"idempotency_key\":12345678}", POSTING_DEPOSIT, OPERATION_SINGLE,
     "idempotency_key "},
    {"{" OWN "\"amount\":1,\"idempotency_key\":null}", POSTING_DEPOSIT, OPERATION_SINGLE,
     "idempotency_key "},
    /* effective times */
    {"{" OWN "\"amount\":1,\"effective_at\":\"2026-01-31\"}", POSTING_DEPOSIT, OPERATION_SINGLE,
     ""},
    {"{\"type\":\"deposit\"," OWN "\"amount\":1,\"effective_at\":\"1970-01-01\"," KEY "}",
     POSTING_DEPOSIT, OPERATION_OF_BATCH, ""},
    {"{" OWN "\"amount\":1,\"effective_at\":\"2026-02-30\"}", POSTING_DEPOSIT, OPERATION_SINGLE,
     "effective_at "},
    {"{" OWN "\"amount\":1,\"effective_at\":1795347000}", POSTING_DEPOSIT, OPERATION_SINGLE,
     "effective_at "},
    {"{" OWN "\"amount\":1,\"effective_at\":null}", POSTING_DEPOSIT, OPERATION_SINGLE,
     "effective_at "},
    {"{" OWN "\"amount\":1,\"effective_at\":\"2026-01-31T12:00:00\"}", POSTING_DEPOSIT,
     OPERATION_SINGLE, "effective_at "},
    {"{" OWN "\"amount\":1,\"effective_at\":\"9998-12-31\"}", POSTING_DEPOSIT, OPERATION_SINGLE,
     "effective_at "},
    /* unknown members */
    {"{" OWN "\"amount\":1,\"ammount\":2}", POSTING_DEPOSIT, OPERATION_SINGLE, "ammount "},
    {"{" OWN "\"amount\":1,\"type\":\"deposit\"}", POSTING_DEPOSIT, OPERATION_SINGLE, "type "},
    {"{" OWN "\"amount\":1,\"to_account_id\":\"" B "\"}", POSTING_DEPOSIT, OPERATION_SINGLE,
     "to_account_id "},
    {"{" OWN "\"amount\":1,\"\\u0001<b>\":2}", POSTING_DEPOSIT, OPERATION_SINGLE, "body "},
    {"{\"x\":1,\"y\":2}", POSTING_DEPOSIT, OPERATION_SINGLE, "account_id amount x "},
};

static void join_fields(const struct operation_errors *errors, char *text, size_t size) {
    size_t length = 0;
    text[0] = '\0';
    for (size_t i = 0; i < errors->count; i++) {
        int written = snprintf(text + length, size - length, "%s ", errors->fields[i].field);
        ck_assert(written > 0 && (size_t)written < size - length);
        ck_assert(errors->fields[i].reason[0] != '\0');
        length += (size_t)written;
    }
}

START_TEST(bodies) {
    const struct reading *reading = &READINGS[_i];
    struct json_error error;
    struct json_document *document = json_read(reading->body, strlen(reading->body), 64, &error);
    ck_assert_ptr_nonnull(document);
    struct journal_command command = {0};
    struct operation_errors errors = {0};
    operation_read(json_root(document), reading->kind, reading->source, &command, &errors);
    char wrong[256];
    join_fields(&errors, wrong, sizeof wrong);
    ck_assert_str_eq(wrong, reading->wrong);
    json_free(document);
}
END_TEST

START_TEST(fields_are_taken) {
    static const char body[] =
        "{\"from_account_id\":\"" A "\",\"to_account_id\":\"" B "\",\"amount\":\"12.340\"," KEY "}";
    struct json_error error;
    struct json_document *document = json_read(body, sizeof body - 1, 64, &error);
    struct journal_command command = {0};
    struct operation_errors errors = {0};
    operation_read(json_root(document), POSTING_TRANSFER, OPERATION_SINGLE, &command, &errors);
    ck_assert_uint_eq(errors.count, 0);
    ck_assert_int_eq(command.kind, POSTING_TRANSFER);
    ck_assert_uint_eq(command.own_account.bytes[0], 0x0a);
    ck_assert_uint_eq(command.own_account.bytes[15], 0x0a);
    ck_assert_uint_eq(command.other_account.bytes[0], 0x0b);
    ck_assert(command.amount.coefficient == 12340 && command.amount.decimals == 3);
    ck_assert_uint_eq(command.key_length, 9);
    ck_assert_str_eq(command.key, "key-00001");
    json_free(document);
}
END_TEST

START_TEST(copied_errors_own_their_names) {
    struct operation_errors errors = {0};
    struct operation_errors copy;
    memcpy(errors.unknown, "typo", sizeof "typo");
    operation_refuse(&errors, "amount", "is required");
    operation_refuse(&errors, errors.unknown, "is not known here");
    operation_errors_copy(&copy, &errors);
    memset(&errors, 0, sizeof errors);
    ck_assert_str_eq(copy.fields[0].field, "amount");
    ck_assert_str_eq(copy.fields[1].field, "typo");
}
END_TEST

START_TEST(too_many_errors_are_dropped) {
    struct operation_errors errors = {0};
    for (size_t i = 0; i < OPERATION_ERRORS_MAX + 3; i++) {
        operation_refuse(&errors, "amount", "is required");
    }
    ck_assert_uint_eq(errors.count, OPERATION_ERRORS_MAX);
}
END_TEST

/* ---- keys ---- */

START_TEST(key_form) {
    char longest[130];
    memset(longest, 'k', sizeof longest);
    ck_assert(operation_key_valid(longest, 128));
    ck_assert(!operation_key_valid(longest, 129));
    ck_assert(operation_key_valid("a1234567", 8));
    ck_assert(operation_key_valid("0._-._-.", 8));
    ck_assert(!operation_key_valid("a123456", 7));
    ck_assert(!operation_key_valid("_1234567", 8));
    ck_assert(!operation_key_valid(".1234567", 8));
    ck_assert(!operation_key_valid("-1234567", 8));
    ck_assert(!operation_key_valid("", 0));
    for (int c = 0; c < 256; c++) {
        char key[] = "key.00001";
        key[4] = (char)c;
        bool good = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                    c == '_' || c == '.' || c == '-';
        ck_assert_msg(operation_key_valid(key, sizeof key - 1) == good, "byte %d", c);
    }
}
END_TEST

START_TEST(header_key_form) {
    static const struct {
        const char *value, *key; /* key NULL: refused */
    } cases[] = {
        {"key-00001", "key-00001"},
        {"\"key-00001\"", "key-00001"},
        {" \"key-00001\"\t", "key-00001"},
        {"  key-00001 ", "key-00001"},
        {"", NULL},
        {"\"\"", NULL},
        {"\"key-00001", NULL},
        {"key-00001\"", NULL},
        {"\"", NULL},
        {"\"\"key-00001\"\"", NULL},
        {"\"key-00001\";a=1", NULL},
        {"\"key 00001\"", NULL},
        {"\"key\\-00001\"", NULL},
        {"key-00001, key-00002", NULL},
        {"short", NULL},
        {"\"short\"", NULL},
        {"'key-00001'", NULL},
        {"\" key-00001\"", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *key = NULL;
        size_t length = 0;
        bool good = operation_header_key(cases[i].value, strlen(cases[i].value), &key, &length);
        ck_assert_msg(good == (cases[i].key != NULL), "%s", cases[i].value);
        if (good) {
            ck_assert_uint_eq(length, strlen(cases[i].key));
            ck_assert_mem_eq(key, cases[i].key, length);
        }
    }
}
END_TEST

/* ---- answering ---- */

START_TEST(kinds_of_outcomes) {
    for (int i = 0; i < POSTING_OUTCOME_COUNT; i++) {
        enum posting_outcome outcome = (enum posting_outcome)i;
        const struct problem_kind *kind = problems_of_outcome(outcome);
        if (outcome == POSTING_PENDING || outcome == POSTING_ACCEPTED) {
            ck_assert_ptr_null(kind);
            continue;
        }
        ck_assert_ptr_nonnull(kind);
        ck_assert_str_eq(kind->code, posting_outcome_name(outcome));
        ck_assert(kind->status >= 400 && kind->status < 500);
        ck_assert(kind->title[0] != '\0' && kind->detail[0] != '\0');
        for (int k = 0; k < 3; k++) {
            const char *field = problems_field(outcome, (enum posting_kind)k);
            ck_assert_msg(field == NULL || kind->status == 422, "%s", kind->code);
        }
    }
    ck_assert_ptr_null(problems_of_outcome(POSTING_OUTCOME_COUNT));
}
END_TEST

/* The answer's text: `{"status":...}` of a success, or the problem. */
static char *answer_of(const struct journal_command *command, bool replays, int *status) {
    struct operation_refusal refusal;
    struct json_writer *writer = json_writer_create(4096);
    if (operation_done(command, replays, &refusal)) {
        *status = 200;
        operation_write_success(writer, command);
    } else {
        *status = refusal.problem.kind->status;
        problem_write(writer, &refusal.problem, NULL);
    }
    size_t length;
    const char *text = json_writer_finish(writer, &length);
    ck_assert_ptr_nonnull(text);
    char *copy = strdup(text);
    json_writer_free(writer);
    return copy;
}

static void expect_answer(const struct journal_command *command, bool replays, int status,
                          const char *part) {
    int answered = 0;
    char *text = answer_of(command, replays, &answered);
    ck_assert_msg(answered == status, "%d: %s", answered, text);
    ck_assert_msg(strstr(text, part) != NULL, "%s: %s", part, text);
    free(text);
}

static struct journal_command ended(enum posting_outcome outcome) {
    struct journal_command command = {.kind = POSTING_WITHDRAW,
                                      .end = JOURNAL_DECIDED,
                                      .outcome = outcome,
                                      .has_balance = outcome == POSTING_ACCEPTED ||
                                                     outcome == POSTING_DUPLICATE,
                                      .balance_minor = 15000,
                                      .decimals = 2,
                                      .asset = "RUB"};
    command.transaction_id.bytes[0] = 0x01;
    return command;
}

#define TRANSACTION "01000000-0000-0000-0000-000000000000"

START_TEST(answers_of_the_contract) {
    struct journal_command command = ended(POSTING_ACCEPTED);
    expect_answer(
        &command, false, 200,
        "{\"status\":\"success\",\"new_balance\":\"150.00\",\"transaction\":\"" TRANSACTION "\"}");
    command = ended(POSTING_ACCOUNT_NOT_FOUND);
    expect_answer(&command, false, 404, "\"detail\":\"Account not found\"");
    command = ended(POSTING_NOT_OWNER);
    expect_answer(&command, false, 403, "\"detail\":\"");
    command = ended(POSTING_INSUFFICIENT_FUNDS);
    expect_answer(&command, false, 400, "\"detail\":\"Insufficient funds\"");
    command = ended(POSTING_SAME_ACCOUNT);
    expect_answer(&command, false, 422, "\"field\":\"to_account_id\"");
    command = ended(POSTING_PERIOD_LOCKED);
    expect_answer(&command, false, 422, "\"field\":\"effective_at\"");
    command = ended(POSTING_ASSET_MISMATCH);
    expect_answer(&command, false, 422, "\"field\":\"to_account_id\"");
    command = ended(POSTING_AMOUNT_TOO_PRECISE);
    expect_answer(&command, false, 422, "\"field\":\"amount\"");
    command = ended(POSTING_AMOUNT_TOO_LARGE);
    expect_answer(&command, false, 422, "\"field\":\"amount\"");
}
END_TEST

START_TEST(second_use_of_a_key_in_the_body) {
    struct journal_command command = ended(POSTING_DUPLICATE);
    expect_answer(&command, false, 409, "\"detail\":\"Transaction already processed\"");
    expect_answer(&command, false, 409,
                  "\"transaction\":\"" TRANSACTION "\",\"same_request\":true");
    command = ended(POSTING_DUPLICATE_CHANGED);
    expect_answer(&command, false, 409, "\"detail\":\"Transaction already processed\"");
    expect_answer(&command, false, 409,
                  "\"transaction\":\"" TRANSACTION "\",\"same_request\":false");
}
END_TEST

/* Twice within one all-or-nothing batch that was refused: there is no transaction to name. */
START_TEST(second_use_of_a_key_without_a_transaction) {
    struct journal_command command = ended(POSTING_DUPLICATE_CHANGED);
    command.transaction_id = (struct ledger_uuid){{0}};
    int status = 0;
    char *text = answer_of(&command, false, &status);
    ck_assert_int_eq(status, 409);
    ck_assert_ptr_null(strstr(text, "\"transaction\""));
    ck_assert_ptr_nonnull(strstr(text, "\"same_request\":false"));
    free(text);
}
END_TEST

START_TEST(second_use_of_a_key_in_the_header) {
    struct journal_command first = ended(POSTING_ACCEPTED);
    struct journal_command again = ended(POSTING_DUPLICATE);
    ck_assert(!operation_replayed(&first) && operation_replayed(&again));
    int status = 0;
    char *answer = answer_of(&first, true, &status);
    char *replay = answer_of(&again, true, &status);
    ck_assert_int_eq(status, 200);
    ck_assert_str_eq(answer, replay);
    free(answer);
    free(replay);
    again = ended(POSTING_DUPLICATE_CHANGED);
    expect_answer(&again, true, 422, "urn:pacioli:problem:idempotency_key_reused");
    expect_answer(&again, true, 422, "\"field\":\"Idempotency-Key\"");
    /* A journal that knows the transaction but not its balance cannot replay it. */
    again = ended(POSTING_DUPLICATE);
    again.has_balance = false;
    expect_answer(&again, true, 409, "\"same_request\":true");
}
END_TEST

START_TEST(ends_without_an_outcome) {
    struct journal_command command = {.end = JOURNAL_UNAVAILABLE};
    struct operation_refusal refusal;
    expect_answer(&command, false, 503, "urn:pacioli:problem:unavailable");
    ck_assert(!operation_done(&command, false, &refusal));
    ck_assert_int_eq(refusal.problem.retry_after_s, 1);
    command.end = JOURNAL_UNKNOWN;
    expect_answer(&command, true, 503, "urn:pacioli:problem:outcome_unknown");
    ck_assert(!operation_done(&command, false, &refusal));
    ck_assert_int_eq(refusal.problem.retry_after_s, 1);
    command.end = JOURNAL_FAILED;
    operation_settle(&command);
    expect_answer(&command, false, 500, "urn:pacioli:problem:internal");
    /* Closed between the look and the insert. */
    memcpy(command.sqlstate, "PC030", sizeof command.sqlstate);
    operation_settle(&command);
    expect_answer(&command, false, 422, "urn:pacioli:problem:period_locked");
    /* Never a success without a balance to tell. */
    command = ended(POSTING_ACCEPTED);
    command.has_balance = false;
    expect_answer(&command, false, 500, "urn:pacioli:problem:internal");
}
END_TEST

int main(void) {
    Suite *suite = suite_create("operation");
    TCase *reading = tcase_create("reading");
    tcase_add_loop_test(reading, bodies, 0, (int)(sizeof READINGS / sizeof READINGS[0]));
    tcase_add_test(reading, fields_are_taken);
    tcase_add_test(reading, copied_errors_own_their_names);
    tcase_add_test(reading, too_many_errors_are_dropped);
    tcase_add_test(reading, key_form);
    tcase_add_test(reading, header_key_form);
    suite_add_tcase(suite, reading);
    TCase *answering = tcase_create("answering");
    tcase_add_test(answering, kinds_of_outcomes);
    tcase_add_test(answering, answers_of_the_contract);
    tcase_add_test(answering, second_use_of_a_key_in_the_body);
    tcase_add_test(answering, second_use_of_a_key_without_a_transaction);
    tcase_add_test(answering, second_use_of_a_key_in_the_header);
    tcase_add_test(answering, ends_without_an_outcome);
    suite_add_tcase(suite, answering);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
