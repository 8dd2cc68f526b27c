/* keys and token_keys: keys as files, as a JWK Set, and as what tokens are signed and verified
 * with. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "auth_api/keys.h"
#include "service_kit/token.h"

#define SECRET   "0123456789abcdef0123456789abcdef"
#define NOW      INT64_C(1700000000)
#define KEYS     1500 /* a coordinate that begins with a zero is in them: 1 - (1 - 1/128)^1500 */
#define ERROR    256
#define IN_SET   10
#define LIFETIME 60

/* In memory: 1,500 keys are written and synced. */
static char folder[] = "/dev/shm/pacioli-test-keys-XXXXXX";

static void make(struct token_key *key, char pem[static TOKEN_KEY_PEM_SIZE]) {
    char error[ERROR] = "";
    ck_assert_msg(keys_make(folder, key, error, sizeof error), "%s", error);
    ck_assert_msg(keys_private(folder, key, pem, error, sizeof error), "%s", error);
    keys_forget(folder, key);
    ck_assert(!keys_private(folder, key, (char[TOKEN_KEY_PEM_SIZE]){""}, error, sizeof error));
}

START_TEST(every_key_can_be_published_and_used) {
    static const uint8_t subject[16] = {7};
    const struct token_grant grant = {.subject = subject, .roles = HTTP_ROLE_USER};
    struct token_keys *issuer = token_keys_create(), *verifier = token_keys_create();
    const struct token_policy issuing = {
        .secret = SECRET, .secret_length = strlen(SECRET), .keys = issuer, .only_keys = true};
    struct token_policy verifying = issuing;
    verifying.keys = verifier;
    size_t zeros = 0;
    for (size_t i = 0; i < KEYS; i++) {
        struct token_key key = {.name = ""}, list[TOKEN_KEYS_MAX];
        char pem[TOKEN_KEY_PEM_SIZE] = "";
        make(&key, pem);
        zeros += key.point[0] == 0 || key.point[TOKEN_KEY_POINT_SIZE / 2] == 0;
        token_keys_set_signer(issuer, key.name, pem);

        size_t length = 0, count = 0;
        char *jwks = token_keys_write(&key, 1, &length);
        ck_assert(token_keys_read(jwks, length, list, &count));
        ck_assert_uint_eq(count, 1);
        ck_assert_mem_eq(&list[0], &key, sizeof key);
        ck_assert_ptr_null(strstr(jwks, "\"d\""));
        free(jwks);
        ck_assert(token_keys_replace(verifier, list, count));

        char *token = token_issue(&issuing, &grant, NOW, LIFETIME);
        struct token_claims claims;
        ck_assert_ptr_nonnull(token);
        ck_assert_int_eq(token_verify(&verifying, token, strlen(token), NOW, &claims), TOKEN_VALID);
        ck_assert(token_keys_replace(verifier, NULL, 0));
        ck_assert_int_eq(token_verify(&verifying, token, strlen(token), NOW, &claims),
                         TOKEN_UNKNOWN_KEY);
        ck_assert(token_keys_take_unknown(verifier) && !token_keys_take_unknown(verifier));
        free(token);
    }
    ck_assert_uint_gt(zeros, 0);
    token_keys_free(verifier);
    token_keys_free(issuer);
}
END_TEST

START_TEST(a_set_is_replaced_as_a_whole) {
    struct token_keys *keys = token_keys_create();
    struct token_key list[IN_SET];
    char pem[TOKEN_KEY_PEM_SIZE] = "";
    for (size_t i = 0; i < IN_SET; i++) {
        make(&list[i], pem);
    }
    ck_assert(token_keys_replace(keys, list, IN_SET));
    const uint64_t generation = token_keys_generation(keys);
    ck_assert(token_keys_replace(keys, list, IN_SET));
    ck_assert_uint_eq(token_keys_generation(keys), generation);
    struct token_key bent[IN_SET];
    memcpy(bent, list, sizeof bent);
    bent[IN_SET - 1].point[5] ^= 1; /* not of the curve, or not of that name */
    ck_assert(!token_keys_replace(keys, bent, IN_SET));
    memcpy(bent[IN_SET - 1].point, list[0].point, sizeof list[0].point);
    ck_assert(!token_keys_replace(keys, bent, IN_SET));
    ck_assert_uint_eq(token_keys_generation(keys), generation);
    ck_assert(token_keys_replace(keys, list, IN_SET - 1));
    ck_assert_uint_ne(token_keys_generation(keys), generation);
    token_keys_free(keys);
}
END_TEST

START_TEST(what_is_no_set_is_refused) {
    static const char *const texts[] = {"",
                                        "[]",
                                        "{}",
                                        "{\"keys\": {}}",
                                        "{\"keys\": null}",
                                        "{\"keys\": []",
                                        "{\"keys\": [], \"keys\": []}"};
    struct token_key list[TOKEN_KEYS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        ck_assert_msg(!token_keys_read(texts[i], strlen(texts[i]), list, &count), "%s", texts[i]);
    }
    static const char others[] =
        "{\"keys\": [1, {\"kty\": \"RSA\"}, {\"kty\": \"oct\", \"k\": \"x\"}]}";
    ck_assert(token_keys_read(others, strlen(others), list, &count));
    ck_assert_uint_eq(count, 0);
}
END_TEST

int main(void) {
    if (mkdtemp(folder) == NULL) {
        return EXIT_FAILURE;
    }
    Suite *suite = suite_create("keys");
    TCase *cases = tcase_create("keys");
    tcase_set_timeout(cases, 100);
    tcase_add_test(cases, every_key_can_be_published_and_used);
    tcase_add_test(cases, a_set_is_replaced_as_a_whole);
    tcase_add_test(cases, what_is_no_set_is_refused);
    suite_add_tcase(suite, cases);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    (void)rmdir(folder);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
