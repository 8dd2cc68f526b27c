/* http_tokens: a cache may be fast, never wrong. */
#include "service_kit/http_tokens.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static const char secret[] = "0123456789abcdef0123456789abcdef";
static const uint8_t subject[16] = {1, 2, 3};
static const struct token_grant grant = {.subject = subject, .roles = HTTP_ROLE_OPERATOR};
#define NOW INT64_C(1800000000)

static const struct token_policy policy = {
    .secret = secret, .secret_length = sizeof(secret) - 1, .issuer = "", .audience = ""};

static enum token_result verify(struct http_tokens *tokens, const char *token, int64_t now) {
    struct token_claims claims = {.expires_at_unix_s = -1};
    enum token_result result = http_tokens_verify(tokens, token, strlen(token), now, &claims);
    if (result == TOKEN_VALID)
        ck_assert_mem_eq(claims.subject, subject, sizeof(subject));
    return result;
}

START_TEST(hit_ends_with_the_token) {
    struct http_tokens *tokens = http_tokens_create(&policy);
    char *token = token_issue(&policy, &grant, NOW, 60);
    ck_assert_int_eq(verify(tokens, token, NOW), TOKEN_VALID);
    ck_assert_int_eq(verify(tokens, token, NOW + 59), TOKEN_VALID);
    ck_assert_int_eq(verify(tokens, token, NOW + 60), TOKEN_EXPIRED);
    ck_assert_int_eq(verify(tokens, token, NOW + 600), TOKEN_EXPIRED);
    free(token);
    http_tokens_free(tokens);
}
END_TEST

START_TEST(every_changed_byte_misses) {
    struct http_tokens *tokens = http_tokens_create(&policy);
    char *token = token_issue(&policy, &grant, NOW, 60);
    ck_assert_int_eq(verify(tokens, token, NOW), TOKEN_VALID);
    size_t length = strlen(token);
    for (size_t i = 0; i < length; i++) {
        char kept = token[i];
        token[i] = kept == 'x' ? 'y' : 'x';
        ck_assert_msg(verify(tokens, token, NOW) != TOKEN_VALID, "byte %zu", i);
        token[i] = kept;
    }
    struct token_claims claims;
    for (size_t shorter = 0; shorter < length; shorter++)
        ck_assert_int_ne(http_tokens_verify(tokens, token, shorter, NOW, &claims), TOKEN_VALID);
    ck_assert_int_eq(verify(tokens, token, NOW), TOKEN_VALID);
    free(token);
    http_tokens_free(tokens);
}
END_TEST

/* Many more tokens than places: each is judged by itself, before and after it was displaced. */
START_TEST(more_tokens_than_places) {
    struct http_tokens *tokens = http_tokens_create(&policy);
    static const struct token_policy other = {.secret = "fedcba9876543210fedcba9876543210",
                                              .secret_length = 32,
                                              .issuer = "",
                                              .audience = ""};
    enum { KEPT = 64 };
    char *kept[KEPT];
    for (size_t i = 0; i < KEPT; i++) {
        kept[i] = token_issue(&policy, &grant, NOW, 60 + (int64_t)i);
        ck_assert_int_eq(verify(tokens, kept[i], NOW), TOKEN_VALID);
    }
    for (int64_t i = 0; i < 3000; i++) {
        char *good = token_issue(&policy, &grant, NOW, 100 + i);
        char *forged = token_issue(&other, &grant, NOW, 100 + i);
        ck_assert_int_eq(verify(tokens, good, NOW), TOKEN_VALID);
        ck_assert_int_eq(verify(tokens, forged, NOW), TOKEN_BAD_SIGNATURE);
        ck_assert_int_eq(verify(tokens, good, NOW), TOKEN_VALID);
        free(good);
        free(forged);
    }
    for (size_t i = 0; i < KEPT; i++) {
        ck_assert_int_eq(verify(tokens, kept[i], NOW), TOKEN_VALID);
        free(kept[i]);
    }
    http_tokens_free(tokens);
}
END_TEST

int main(void) {
    Suite *suite = suite_create("http_tokens");
    TCase *tests = tcase_create("http_tokens");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, hit_ends_with_the_token);
    tcase_add_test(tests, every_changed_byte_misses);
    tcase_add_test(tests, more_tokens_than_places);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
