/*
 * password, against hashes that other programs made, and by trying to make two passwords verify
 * alike.  Costs are low here; what does not depend on the cost does not need a high one.
 */
#include "auth_api/password.h"

#include <check.h>
#include <crypt.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define COST        4
#define TIMING_COST 9
#define ROUNDS      7

static const struct password_policy policy = {.method = PASSWORD_BCRYPT, .cost = COST};
static const struct password_policy timing_policy = {.method = PASSWORD_BCRYPT,
                                                     .cost = TIMING_COST};
static const struct password_policy weaker_policy = {.method = PASSWORD_BCRYPT,
                                                     .cost = TIMING_COST - 3};

static void *scratch;

static void setup(void) {
    scratch = calloc(1, password_scratch_size());
    ck_assert_ptr_nonnull(scratch);
}

static void teardown(void) {
    free(scratch);
}

static bool verify(const char *password, const char *stored) {
    return password_verify(password, strlen(password), stored, stored == NULL ? 0 : strlen(stored),
                           &policy, scratch);
}

static void hash(const char *password, char stored[static PASSWORD_STORED_SIZE]) {
    ck_assert(password_hash(password, strlen(password), &policy, scratch, stored));
}

/* `count` times `piece`; free() it. */
static char *repeated(const char *piece, size_t count) {
    const size_t length = strlen(piece);
    char *text = calloc(count * length + 1, 1);
    ck_assert_ptr_nonnull(text);
    for (size_t i = 0; i < count; i++) {
        memcpy(text + i * length, piece, length);
    }
    return text;
}

/* ---- What may be a password ---------------------------------------------------------------- */

static const struct {
    const char *piece;
    size_t count;
    bool good;
} LENGTHS[] = {
    {"a", 0, false},          {"a", 7, false},   {"a", 8, true},
    {"a", 128, true},         {"a", 129, false}, {"\xC3\xA9", 7, false},
    {"\xC3\xA9", 8, true},    {" ", 8, true},    {"\xF0\x9F\x98\x80", 2, false},
    {"\xC3\xA9", 128, true},  {"\n", 8, true},   {"\xF0\x9F\x98\x80", 128, true},
    {"\xC3\xA9", 129, false}, {"a", 600, false}, {"\xF0\x9F\x98\x80", 129, false},
};

START_TEST(length_counts_characters) {
    char *text = repeated(LENGTHS[_i].piece, LENGTHS[_i].count);
    const char *reason = password_refusal(text, strlen(text));
    ck_assert_msg((reason == NULL) == LENGTHS[_i].good, "row %d: %s", _i,
                  reason == NULL ? "accepted" : reason);
    free(text);
}
END_TEST

START_TEST(nul_is_refused) {
    ck_assert_ptr_nonnull(password_refusal("abcdefgh\0ijk", 12));
    ck_assert_ptr_nonnull(password_refusal("\0abcdefghijk", 12));
    ck_assert_ptr_nonnull(password_refusal("abcdefghijk", 12));
}
END_TEST

/* ---- Stored values ------------------------------------------------------------------------- */

#define SALTED     "abcdefghijklmnopqrstuu"
#define YESCRYPTED "0123456789abcdefghijklmnopqrstuvwxyzABCDEFG"
#define HASHED     "u4Z0UTd2h5gTdK8B8/dXwoqei4q3itq"

static const struct {
    const char *stored;
    enum password_form form;
} FORMS[] = {
    {"$2b$05$" SALTED HASHED, PASSWORD_FORM_PLAIN},
    {"$2a$05$" SALTED HASHED, PASSWORD_FORM_PLAIN},
    {"$2y$05$" SALTED HASHED, PASSWORD_FORM_PLAIN},
    {"$2b$04$" SALTED HASHED, PASSWORD_FORM_PLAIN},
    {"$2b$15$" SALTED HASHED, PASSWORD_FORM_PLAIN},
    {"v1$hmac-sha384$2b$05$" SALTED HASHED, PASSWORD_FORM_PREHASHED},
    {"v1$hmac-sha384$2a$05$" SALTED HASHED, PASSWORD_FORM_UNKNOWN},
    {"v1$hmac-sha384"
     "v1$hmac-sha384$2b$05$" SALTED HASHED,
     PASSWORD_FORM_UNKNOWN},
    {"v1$hmac-sha384", PASSWORD_FORM_UNKNOWN},
    {"v2$hmac-sha384$2b$05$" SALTED HASHED, PASSWORD_FORM_UNKNOWN},
    {"v2$-$2b$05$" SALTED HASHED, PASSWORD_FORM_KEYED},
    {"v2$p1$2b$05$" SALTED HASHED, PASSWORD_FORM_KEYED},
    {"v2$p1$y$j9T$" SALTED "$" YESCRYPTED, PASSWORD_FORM_KEYED},
    {"v2$P1$2b$05$" SALTED HASHED, PASSWORD_FORM_UNKNOWN},
    {"v2$$2b$05$" SALTED HASHED, PASSWORD_FORM_UNKNOWN},
    {"v2$abcdefghijklmnopq$2b$05$" SALTED HASHED, PASSWORD_FORM_UNKNOWN},
    {"v2$p1$y$jZT$" SALTED "$" YESCRYPTED, PASSWORD_FORM_UNKNOWN},
    {"v2$p1$y$j95$" SALTED "$" YESCRYPTED, PASSWORD_FORM_UNKNOWN},
    {"v2$p1$y$j9T$" SALTED "$" YESCRYPTED "a", PASSWORD_FORM_UNKNOWN},
    {"v2$p1$y$j9T$" SALTED YESCRYPTED, PASSWORD_FORM_UNKNOWN},
    {"v2$p1$1$abcdefgh$G//4keteveJp0qb8z2DxG/", PASSWORD_FORM_UNKNOWN},
    {"$y$j9T$" SALTED "$" YESCRYPTED, PASSWORD_FORM_UNKNOWN},
    {"v1$sha384$2b$05$" SALTED HASHED, PASSWORD_FORM_UNKNOWN},
    {"$2x$05$" SALTED HASHED, PASSWORD_FORM_UNKNOWN},
    {"$2$05$" SALTED HASHED "a", PASSWORD_FORM_UNKNOWN},
    {"$2b$03$" SALTED HASHED, PASSWORD_FORM_UNKNOWN},
    {"$2b$16$" SALTED HASHED, PASSWORD_FORM_UNKNOWN},
    {"$2b$31$" SALTED HASHED, PASSWORD_FORM_UNKNOWN},
    {"$2b$5$" SALTED HASHED "a", PASSWORD_FORM_UNKNOWN},
    {"$2b$05$" SALTED HASHED "a", PASSWORD_FORM_UNKNOWN},
    {"$2b$05$" SALTED "u4Z0UTd2h5gTdK8B8/dXwoqei4q3it", PASSWORD_FORM_UNKNOWN},
    {"$2b$05$" SALTED "u4Z0UTd2h5gTdK8B8/dXwoqei4q3it=", PASSWORD_FORM_UNKNOWN},
    {"$2b$05$" SALTED "u4Z0UTd2h5gTdK8B8/dXwoqei4q3it\n", PASSWORD_FORM_UNKNOWN},
    {" $2b$05$" SALTED "u4Z0UTd2h5gTdK8B8/dXwoqei4q3it", PASSWORD_FORM_UNKNOWN},
    {"$2b$05$" SALTED, PASSWORD_FORM_UNKNOWN},
    {"$2b$05$", PASSWORD_FORM_UNKNOWN},
    {"garbage", PASSWORD_FORM_UNKNOWN},
    {"*0", PASSWORD_FORM_UNKNOWN},
    {"*1", PASSWORD_FORM_UNKNOWN},
    {"", PASSWORD_FORM_UNKNOWN},
    {"$", PASSWORD_FORM_UNKNOWN},
    {"password", PASSWORD_FORM_UNKNOWN},
    {"abJnggxhB/yWI", PASSWORD_FORM_UNKNOWN}, /* DES */
    {"$1$abcdefgh$G//4keteveJp0qb8z2DxG/", PASSWORD_FORM_UNKNOWN},
    {"$y$j9T$abc$0123456789abcdefghijklmnopqrstuvwxyzABCDEFG", PASSWORD_FORM_UNKNOWN},
};

START_TEST(stored_forms) {
    const char *stored = FORMS[_i].stored;
    ck_assert_msg(password_stored_form(stored, strlen(stored)) == FORMS[_i].form, "row %d: %s", _i,
                  stored);
    if (FORMS[_i].form == PASSWORD_FORM_UNKNOWN) {
        ck_assert(!verify("password", stored));
        ck_assert(!verify("garbagegarbage", stored));
    }
}
END_TEST

/* libxcrypt itself takes the value as a setting and gives it back: nothing but the form's check
 * stands between such a row and a login. */
START_TEST(other_methods_never_match) {
    static const char *const settings[] = {
        "ab",           "$1$abcdefgh$",     "$5$abcdefgh$",
        "$6$abcdefgh$", "$y$j75$abcdefgh$", "$2x$04$abcdefghijklmnopqrstuu"};
    struct crypt_data *data = scratch;
    const char *stored = crypt_rn("password", settings[_i], data, (int)sizeof *data);
    ck_assert_ptr_nonnull(stored);
    char copy[CRYPT_OUTPUT_SIZE];
    snprintf(copy, sizeof copy, "%s", stored);
    memset(data, 0, sizeof *data);
    ck_assert(!verify("password", copy));
}
END_TEST

/* Hashes of Python's crypt and of the published test vectors of crypt_blowfish. */
START_TEST(hashes_of_others) {
    ck_assert(verify("p\xC3\xA4ssw\xC3\xB6rd-\xC3\xA9", "$2a$05$" SALTED HASHED));
    ck_assert(verify("p\xC3\xA4ssw\xC3\xB6rd-\xC3\xA9", "$2b$05$" SALTED HASHED));
    ck_assert(verify("p\xC3\xA4ssw\xC3\xB6rd-\xC3\xA9", "$2y$05$" SALTED HASHED));
    ck_assert(!verify("p\xC3\xA4ssw\xC3\xB6rd-\xC3\xA8", "$2b$05$" SALTED HASHED));
    ck_assert(!verify("passw\xC3\xB6rd-\xC3\xA9", "$2b$05$" SALTED HASHED));

    /* Made independently: base64 of HMAC-SHA-384 in Python, then bcrypt. */
    char *phrase = repeated("correct horse battery staple ", 4);
    static const char prehashed[] =
        "v1$hmac-sha384$2b$05$" SALTED "/3vmclk2a0msmt43a4JZBEBDj1rC4va";
    ck_assert(verify(phrase, prehashed));
    phrase[115] = '!';
    ck_assert(!verify(phrase, prehashed));
    free(phrase);
}
END_TEST

/* ---- The whole password counts ------------------------------------------------------------- */

START_TEST(a_plain_hash_never_matches_more_than_72_bytes) {
    static const char vector[] = "$2a$05$" SALTED "5s2v8.iXieOjg/.AySBTTZIIVFJeBui";
    static const char long_one[] =
        "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
        "chars after 72 are ignored";
    char first[73] = "";
    memcpy(first, long_one, 72);
    struct crypt_data *data = scratch;
    ck_assert_str_eq(crypt_rn(long_one, vector, data, (int)sizeof *data), vector);
    memset(data, 0, sizeof *data);
    ck_assert(verify(first, vector));
    ck_assert(!verify(long_one, vector));
    for (size_t length = 73; length < sizeof long_one; length++) {
        ck_assert(!password_verify(long_one, length, vector, strlen(vector), &policy, scratch));
    }
}
END_TEST

/* The 64 characters that bcrypt gets for a long password are no password for it. */
START_TEST(a_prehash_is_no_password) {
    static const char characters[] =
        "RSSkebmnv+/knB98ov2WnfXaVJ/zlvk0O/mnKNLjNymZSg4h1JrfHg+HPfmhe5wj";
    static const char prehashed[] =
        "v1$hmac-sha384$2b$05$" SALTED "/3vmclk2a0msmt43a4JZBEBDj1rC4va";
    ck_assert(verify(characters, prehashed + strlen("v1$hmac-sha384")));
    ck_assert(!verify(characters, prehashed));
}
END_TEST

/* Lengths around 72 and at the end, in one, two and four bytes a character. */
static const struct {
    const char *piece;
    size_t count;
} WHOLE[] = {
    {"a", 8},
    {"a", 71},
    {"a", 72},
    {"a", 73},
    {"a", 74},
    {"a", 127},
    {"a", 128},
    {"\xC3\xA9", 36},
    {"\xC3\xA9", 37},
    {"\xF0\x9F\x98\x80", 18},
    {"\xC3\xA9", 128},
    {"\xF0\x9F\x98\x80", 19},
    {"\xF0\x9F\x98\x80", 64},
    {"\xF0\x9F\x98\x80", 128},
};
#define WHOLE_COUNT (sizeof WHOLE / sizeof *WHOLE)

START_TEST(each_password_matches_itself_alone) {
    char *own = repeated(WHOLE[_i].piece, WHOLE[_i].count);
    char stored[PASSWORD_STORED_SIZE];
    hash(own, stored);
    ck_assert_int_eq(password_stored_form(stored, strlen(stored)), *own != 'a' ? PASSWORD_FORM_KEYED
                                                                   : strlen(own) > 72
                                                                       ? PASSWORD_FORM_PREHASHED
                                                                       : PASSWORD_FORM_PLAIN);
    ck_assert(verify(own, stored));
    for (size_t i = 0; i < WHOLE_COUNT; i++) {
        char *other = repeated(WHOLE[i].piece, WHOLE[i].count);
        ck_assert_msg(verify(other, stored) == (i == (size_t)_i), "%d against %zu", _i, i);
        free(other);
    }
    char *last = own + strlen(own) - 1;
    *last = (char)(*last ^ 1);
    ck_assert(!verify(own, stored));
    free(own);
}
END_TEST

START_TEST(every_character_of_the_hash_counts) {
    char stored[PASSWORD_STORED_SIZE];
    hash("the whole hash", stored);
    for (size_t i = 7; i < strlen(stored); i++) {
        const char kept = stored[i];
        stored[i] = kept == 'x' ? 'y' : 'x';
        ck_assert_msg(!verify("the whole hash", stored), "character %zu does not count", i);
        stored[i] = kept;
    }
    ck_assert(verify("the whole hash", stored));
}
END_TEST

START_TEST(salts_differ) {
    char first[PASSWORD_STORED_SIZE], second[PASSWORD_STORED_SIZE];
    hash("the same password", first);
    hash("the same password", second);
    ck_assert_str_ne(first, second);
    ck_assert(strncmp(first, "$2b$04$", 7) == 0);
    ck_assert(verify("the same password", first) && verify("the same password", second));
}
END_TEST

START_TEST(nobody_matches_no_user) {
    ck_assert(!verify("password", NULL));
    char *text = repeated("password", 12);
    ck_assert(!verify(text, NULL));
    free(text);
}
END_TEST

/* ---- The work is equal --------------------------------------------------------------------- */

/* Processor time of one verification, the least of some. */
static double verify_ms(const char *password, const char *stored) {
    double least_ms = 1e9;
    for (int round = 0; round < ROUNDS; round++) {
        struct timespec before, after;
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
        bool good = password_verify(password, strlen(password), stored,
                                    stored == NULL ? 0 : strlen(stored), &timing_policy, scratch);
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after);
        ck_assert(!good);
        double ms = (double)(after.tv_sec - before.tv_sec) * 1e3 +
                    (double)(after.tv_nsec - before.tv_nsec) / 1e6;
        least_ms = ms < least_ms ? ms : least_ms;
    }
    return least_ms;
}

START_TEST(failures_cost_the_same) {
    char stored[PASSWORD_STORED_SIZE], weaker[PASSWORD_STORED_SIZE], marked[PASSWORD_STORED_SIZE];
    char *phrase = repeated("long password ", 8);
    ck_assert(password_hash("some password", 13, &timing_policy, scratch, stored));
    ck_assert(password_hash("some password", 13, &weaker_policy, scratch, weaker));
    ck_assert(password_hash(phrase, strlen(phrase), &timing_policy, scratch, marked));
    phrase[3] = '-';
    const double wrong_ms = verify_ms("wrong password", stored);
    const struct {
        const char *what, *password, *stored;
    } rows[] = {
        {"no user", "wrong password", NULL},
        {"garbage", "wrong password", "garbage"},
        {"empty", "wrong password", ""},
        {"weaker", "wrong password", weaker},
        {"prehashed", phrase, marked},
        {"long against plain", phrase, stored},
        {"short against prehashed", "wrong password", marked},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        double ratio = verify_ms(rows[i].password, rows[i].stored) / wrong_ms;
        ck_assert_msg(ratio > 0.75 && ratio < 1.33, "%s: %.2f times a wrong password", rows[i].what,
                      ratio);
    }
    free(phrase);
}
END_TEST

/* ---- Keyed values --------------------------------------------------------------------------- */

static bool verify_by(const struct password_policy *by, const char *password, const char *stored) {
    return password_verify(password, strlen(password), stored, strlen(stored), by, scratch);
}

static void hash_by(const struct password_policy *by, const char *password,
                    char stored[static PASSWORD_STORED_SIZE]) {
    ck_assert(password_hash(password, strlen(password), by, scratch, stored));
}

static bool outdated(const struct password_policy *by, const char *password, const char *stored) {
    return password_is_outdated(password, strlen(password), stored, strlen(stored), by);
}

/* However a letter was typed, it is the same one. */
START_TEST(composed_and_decomposed_are_one_password) {
    static const char *const spellings[][2] = {
        {"caf\xC3\xA9-passwort", "cafe\xCC\x81-passwort"},
        {"\xEF\xAC\x81nancial-aid", "financial-aid"},
        {"\xEF\xBC\xB0"
         "assword-wide",
         "Password-wide"},
        {"\xE2\x84\xABngstr\xC3\xB6m-unit", "A\xCC\x8Angstro\xCC\x88m-unit"},
    };
    for (size_t i = 0; i < sizeof spellings / sizeof spellings[0]; i++) {
        char stored[PASSWORD_STORED_SIZE];
        hash(spellings[i][0], stored);
        ck_assert(verify(spellings[i][0], stored));
        ck_assert_msg(verify(spellings[i][1], stored), "row %zu", i);
        ck_assert(!verify("cafe-passwort", stored));
    }
}
END_TEST

/* 4 ligatures are 12 letters; 8 letters with their accents apart are 8. */
START_TEST(characters_are_counted_after_nfkc) {
    static const char ligatures[] = "\xEF\xAC\x83\xEF\xAC\x83\xEF\xAC\x83\xEF\xAC\x83";
    ck_assert_ptr_null(password_refusal(ligatures, strlen(ligatures)));
    char *apart = repeated("e\xCC\x81", 7);
    ck_assert_ptr_nonnull(password_refusal(apart, strlen(apart)));
    ck_assert_ptr_null(password_impossible(apart, strlen(apart))); /* 14 of the demo's */
    free(apart);
}
END_TEST

START_TEST(yescrypt_by_configuration) {
    const struct password_policy yescrypt = {.method = PASSWORD_YESCRYPT, .cost = 4};
    char stored[PASSWORD_STORED_SIZE], demo[PASSWORD_STORED_SIZE];
    hash_by(&yescrypt, "some password", stored);
    ck_assert_int_eq(strncmp(stored, "v2$-$y$j8T$", 11), 0);
    ck_assert(verify_by(&yescrypt, "some password", stored));
    ck_assert(!verify_by(&yescrypt, "some passworD", stored));
    ck_assert(!outdated(&yescrypt, "some password", stored));
    /* Users of the demo go on, and are hashed anew. */
    hash("some password", demo);
    ck_assert(verify_by(&yescrypt, "some password", demo));
    ck_assert(outdated(&yescrypt, "some password", demo));
    ck_assert(!verify_by(&yescrypt, "some passworD", demo));
    /* And back. */
    ck_assert(verify("some password", stored));
    ck_assert(outdated(&policy, "some password", stored));
    ck_assert(!verify_by(&yescrypt, "some password", "garbage"));
}
END_TEST

START_TEST(weaker_ones_are_outdated) {
    char stored[PASSWORD_STORED_SIZE];
    hash("some password", stored);
    ck_assert(!outdated(&policy, "some password", stored));
    ck_assert(outdated(&weaker_policy, "some password", stored));
    hash_by(&weaker_policy, "some password", stored);
    ck_assert(!outdated(&policy, "some password", stored)); /* a stronger one stays */
}
END_TEST

#define KEY_1 "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
#define KEY_2 "MTEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="

START_TEST(peppers_turn_over) {
    struct password_policy first = policy, both = policy, second = policy;
    const char *reason = NULL;
    ck_assert(password_read_peppers("p1 " KEY_1 "\n", strlen("p1 " KEY_1 "\n"), &first, &reason));
    ck_assert(password_read_peppers("p2 " KEY_2 "\np1 " KEY_1, strlen("p2 " KEY_2 "\np1 " KEY_1),
                                    &both, &reason));
    ck_assert(password_read_peppers("p2 " KEY_2, strlen("p2 " KEY_2), &second, &reason));
    char old[PASSWORD_STORED_SIZE], new[PASSWORD_STORED_SIZE], bare[PASSWORD_STORED_SIZE];
    hash("some password", bare);
    hash_by(&first, "some password", old);
    ck_assert_int_eq(strncmp(old, "v2$p1$2b$", 9), 0);
    ck_assert(verify_by(&first, "some password", old) && !outdated(&first, "some password", old));
    ck_assert(verify_by(&first, "some password", bare) && outdated(&first, "some password", bare));
    ck_assert(!verify("some password", old)); /* without the pepper it opens nothing */
    ck_assert(verify_by(&both, "some password", old) && outdated(&both, "some password", old));
    hash_by(&both, "some password", new);
    ck_assert_int_eq(strncmp(new, "v2$p2$2b$", 9), 0);
    ck_assert(verify_by(&second, "some password", new));
    ck_assert(!verify_by(&second, "some password", old));
    memcpy(second.peppers[0].name, "p1", 3); /* the name alone is not enough */
    ck_assert(!verify_by(&second, "some password", old));
}
END_TEST

START_TEST(files_that_hold_no_peppers) {
    static const char *const texts[] = {"",
                                        "\n",
                                        "p1",
                                        "p1 ",
                                        "P1 " KEY_1,
                                        KEY_1,
                                        "p1 MDEyMw==",
                                        "p1 " KEY_1 "\np1 " KEY_2,
                                        "p1  " KEY_1,
                                        "p1 " KEY_1 " ",
                                        "abcdefghijklmnopq " KEY_1,
                                        "p1 MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct password_policy read = policy;
        const char *reason = NULL;
        ck_assert_msg(!password_read_peppers(texts[i], strlen(texts[i]), &read, &reason), "'%s'",
                      texts[i]);
        ck_assert_ptr_nonnull(reason);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("password");
    TCase *tests = tcase_create("password");
    tcase_set_timeout(tests, 60);
    tcase_add_checked_fixture(tests, setup, teardown);
    tcase_add_loop_test(tests, length_counts_characters, 0,
                        (int)(sizeof LENGTHS / sizeof *LENGTHS));
    tcase_add_test(tests, nul_is_refused);
    tcase_add_loop_test(tests, stored_forms, 0, (int)(sizeof FORMS / sizeof *FORMS));
    tcase_add_loop_test(tests, other_methods_never_match, 0, 6);
    tcase_add_test(tests, hashes_of_others);
    tcase_add_test(tests, a_plain_hash_never_matches_more_than_72_bytes);
    tcase_add_test(tests, a_prehash_is_no_password);
    tcase_add_loop_test(tests, each_password_matches_itself_alone, 0, (int)WHOLE_COUNT);
    tcase_add_test(tests, every_character_of_the_hash_counts);
    tcase_add_test(tests, salts_differ);
    tcase_add_test(tests, nobody_matches_no_user);
    tcase_add_test(tests, failures_cost_the_same);
    tcase_add_test(tests, composed_and_decomposed_are_one_password);
    tcase_add_test(tests, characters_are_counted_after_nfkc);
    tcase_add_test(tests, yescrypt_by_configuration);
    tcase_add_test(tests, weaker_ones_are_outdated);
    tcase_add_test(tests, peppers_turn_over);
    tcase_add_test(tests, files_that_hold_no_peppers);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
