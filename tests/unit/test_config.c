/*
 * config: where values come from, the rules of every type, the `.env` file's grammar as a table,
 * and that no value gets into an error or, if it is a secret, into what is printed.
 */
#include "service_kit/config.h"

#include <check.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct target {
    const char *user, *password, *issuer, *level;
    int64_t port, offset;
    bool verbose;
};

static const struct config_setting settings[] = {
    {.name = "T_USER",
     .type = CONFIG_TEXT,
     .default_value = "wallet",
     .maximum = 10,
     .help = "Who connects",
     .offset = offsetof(struct target, user)},
    {.name = "T_PASSWORD",
     .type = CONFIG_TEXT,
     .secret = true,
     .minimum = 8,
     .help = "Password of the database",
     .offset = offsetof(struct target, password)},
    {.name = "T_ISSUER",
     .type = CONFIG_TEXT,
     .default_value = "",
     .help = "Issuer to ask for",
     .offset = offsetof(struct target, issuer)},
    {.name = "T_LEVEL",
     .type = CONFIG_CHOICE,
     .default_value = "info",
     .choices = "debug|info|warn|error",
     .help = "Log level",
     .offset = offsetof(struct target, level)},
    {.name = "T_PORT",
     .alias = "T_OLD_PORT",
     .type = CONFIG_INTEGER,
     .default_value = "8001",
     .minimum = 1,
     .maximum = 65535,
     .help = "Port",
     .offset = offsetof(struct target, port)},
    {.name = "T_OFFSET",
     .type = CONFIG_INTEGER,
     .default_value = "0",
     .minimum = INT64_MIN,
     .maximum = INT64_MAX,
     .help = "Any number",
     .offset = offsetof(struct target, offset)},
    {.name = "T_VERBOSE",
     .type = CONFIG_BOOLEAN,
     .default_value = "false",
     .help = "Say more",
     .offset = offsetof(struct target, verbose)},
};
#define SETTING_COUNT (sizeof(settings) / sizeof(settings[0]))
#define PASSWORD      "correct-horse"

static char directory[] = "/tmp/test_config_XXXXXX";
static char env_file[sizeof(directory) + 8];
static struct target target;
static char error[256];

static void set_up(void) {
    (void)memcpy(directory + sizeof(directory) - 7, "XXXXXX", 6);
    ck_assert_ptr_nonnull(mkdtemp(directory));
    (void)snprintf(env_file, sizeof(env_file), "%s/.env", directory);
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        (void)unsetenv(settings[i].name);
    }
    (void)unsetenv("T_OLD_PORT");
    (void)setenv("T_PASSWORD", PASSWORD, 1);
    memset(&target, 0, sizeof(target));
    memset(error, 0, sizeof(error));
}

static void tear_down(void) {
    (void)unlink(env_file);
    (void)rmdir(directory);
}

static void write_env_bytes(const char *text, size_t length) {
    FILE *file = fopen(env_file, "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(text, 1, length, file), length);
    ck_assert_int_eq(fclose(file), 0);
}

static void write_env(const char *text) {
    write_env_bytes(text, strlen(text));
}

static struct config *load(void) {
    return config_load(settings, SETTING_COUNT, env_file, &target, error, sizeof(error));
}

static struct config *load_fine(void) {
    struct config *config = load();
    ck_assert_msg(config != NULL, "%s", error);
    return config;
}

static void expect_error(const char *expected) {
    struct config *config = load();
    ck_assert_msg(config == NULL, "accepted, not: %s", expected);
    ck_assert_str_eq(error, expected);
}

/* ---- where a value comes from ---- */

START_TEST(defaults_and_environment) {
    struct config *config = load_fine();
    ck_assert_str_eq(target.user, "wallet");
    ck_assert_str_eq(target.password, PASSWORD);
    ck_assert_str_eq(target.issuer, "");
    ck_assert_str_eq(target.level, "info");
    ck_assert_int_eq(target.port, 8001);
    ck_assert_int_eq(target.offset, 0);
    ck_assert(!target.verbose);
    config_free(config);

    (void)setenv("T_USER", "other", 1);
    (void)setenv("T_PORT", "1", 1);
    (void)setenv("T_VERBOSE", "yes", 1);
    (void)setenv("T_LEVEL", "error", 1);
    config = load_fine();
    (void)setenv("T_USER", "changed", 1); /* the config has its own copy */
    ck_assert_str_eq(target.user, "other");
    ck_assert_int_eq(target.port, 1);
    ck_assert(target.verbose);
    ck_assert_str_eq(target.level, "error");
    config_free(config);
    config_free(NULL);
}
END_TEST

START_TEST(environment_wins_over_file) {
    write_env("T_USER=file\nT_ISSUER=file\nT_PASSWORD=from-the-file\n");
    (void)setenv("T_USER", "env", 1);
    struct config *config = load_fine();
    ck_assert_str_eq(target.user, "env");
    ck_assert_str_eq(target.issuer, "file");
    ck_assert_str_eq(target.password, PASSWORD);
    config_free(config);
    /* An explicit empty value switches an optional default off. */
    (void)setenv("T_USER", "", 1);
    config = load_fine();
    ck_assert_str_eq(target.user, "");
    config_free(config);
}
END_TEST

START_TEST(alias_stands_behind_the_name) {
    (void)setenv("T_OLD_PORT", "9000", 1);
    struct config *config = load_fine();
    ck_assert_int_eq(target.port, 9000);
    config_free(config);
    (void)setenv("T_PORT", "9001", 1);
    config = load_fine();
    ck_assert_int_eq(target.port, 9001);
    config_free(config);
    (void)unsetenv("T_PORT");
    write_env("T_PORT=9002\nT_OLD_PORT=9003\n");
    config = load_fine();
    ck_assert_int_eq(target.port, 9000); /* the environment wins, under whichever name */
    config_free(config);
    (void)unsetenv("T_OLD_PORT");
    config = load_fine();
    ck_assert_int_eq(target.port, 9002);
    config_free(config);
    write_env("T_OLD_PORT=9003\n");
    config = load_fine();
    ck_assert_int_eq(target.port, 9003);
    config_free(config);
    (void)setenv("T_OLD_PORT", "x", 1); /* the error names what the operator wrote */
    expect_error("T_OLD_PORT: a whole number from 1 to 65535");
}
END_TEST

START_TEST(empty_is_missing_when_required) {
    (void)setenv("T_PASSWORD", "", 1);
    expect_error("T_PASSWORD: required, at least 8 characters");
    write_env("T_PASSWORD=\n");
    expect_error("T_PASSWORD: required, at least 8 characters");
    (void)unsetenv("T_PASSWORD");
    expect_error("T_PASSWORD: required, at least 8 characters");
    write_env("T_PASSWORD=from-the-file\n");
    struct config *config = load_fine();
    ck_assert_str_eq(target.password, "from-the-file");
    config_free(config);
    (void)setenv("T_PASSWORD", "", 1);
    config = load_fine();
    ck_assert_str_eq(target.password, "from-the-file");
    config_free(config);
}
END_TEST

START_TEST(no_file_is_fine_an_unreadable_one_is_not) {
    config_free(load_fine());
    struct config *config =
        config_load(settings, SETTING_COUNT, NULL, &target, error, sizeof(error));
    ck_assert_ptr_nonnull(config);
    config_free(config);
    ck_assert_int_eq(mkdir(env_file, 0700), 0);
    char expected[256];
    (void)snprintf(expected, sizeof(expected), "%s: cannot be read: Is a directory", env_file);
    expect_error(expected);
    ck_assert_int_eq(rmdir(env_file), 0);

    char *large = malloc(70000);
    memset(large, '#', 70000);
    write_env_bytes(large, 65536);
    config_free(load_fine());
    write_env_bytes(large, 65537);
    (void)snprintf(expected, sizeof(expected), "%s: larger than 65536 bytes", env_file);
    expect_error(expected);
    free(large);
}
END_TEST

/* ---- types ---- */

struct value_case {
    const char *name, *value;
    const char *error; /* NULL: accepted */
    int64_t number;
};

#define PORT_RULE    "T_PORT: a whole number from 1 to 65535"
#define OFFSET_RULE  "T_OFFSET: a whole number from -9223372036854775808 to 9223372036854775807"
#define BOOLEAN_RULE "T_VERBOSE: true or false"
#define LEVEL_RULE   "T_LEVEL: one of debug|info|warn|error"
#define PASS_RULE    "T_PASSWORD: at least 8 characters"
#define LINE_RULE    "T_PASSWORD: one line without control characters"

static const struct value_case values[] = {
    {"T_PORT", "1", NULL, 1},
    {"T_PORT", "65535", NULL, 65535},
    {"T_PORT", "080", NULL, 80},
    {"T_PORT", "0", PORT_RULE, 0},
    {"T_PORT", "65536", PORT_RULE, 0},
    {"T_PORT", "-1", PORT_RULE, 0},
    {"T_PORT", "", PORT_RULE, 0},
    {"T_PORT", " 80", PORT_RULE, 0},
    {"T_PORT", "80 ", PORT_RULE, 0},
    {"T_PORT", "+80", PORT_RULE, 0},
    {"T_PORT", "8O", PORT_RULE, 0},
    {"T_PORT", "0x50", PORT_RULE, 0},
    {"T_PORT", "80.0", PORT_RULE, 0},
    {"T_PORT", "8e1", PORT_RULE, 0},
    {"T_PORT", "1_000", PORT_RULE, 0},
    {"T_PORT", "-", PORT_RULE, 0},
    {"T_PORT", "--1", PORT_RULE, 0},
    {"T_PORT", "18446744073709551617", PORT_RULE, 0}, /* 1 after wrapping */
    {"T_OFFSET", "", OFFSET_RULE, 0},
    {"T_OFFSET", "-", OFFSET_RULE, 0},
    {"T_OFFSET", "-7", NULL, -7},
    {"T_OFFSET", "-0", NULL, 0},
    {"T_OFFSET", "9223372036854775807", NULL, INT64_MAX},
    {"T_OFFSET", "-9223372036854775808", NULL, INT64_MIN},
    {"T_OFFSET", "9223372036854775808", OFFSET_RULE, 0},
    {"T_OFFSET", "-9223372036854775809", OFFSET_RULE, 0},
    {"T_OFFSET", "99999999999999999999", OFFSET_RULE, 0},
    {"T_VERBOSE", "true", NULL, 1},
    {"T_VERBOSE", "TRUE", NULL, 1},
    {"T_VERBOSE", "1", NULL, 1},
    {"T_VERBOSE", "yes", NULL, 1},
    {"T_VERBOSE", "on", NULL, 1},
    {"T_VERBOSE", "false", NULL, 0},
    {"T_VERBOSE", "0", NULL, 0},
    {"T_VERBOSE", "no", NULL, 0},
    {"T_VERBOSE", "Off", NULL, 0},
    {"T_VERBOSE", "", BOOLEAN_RULE, 0},
    {"T_VERBOSE", "2", BOOLEAN_RULE, 0},
    {"T_VERBOSE", "t", BOOLEAN_RULE, 0},
    {"T_VERBOSE", "true ", BOOLEAN_RULE, 0},
    {"T_LEVEL", "debug", NULL, 0},
    {"T_LEVEL", "error", NULL, 0},
    {"T_LEVEL", "", LEVEL_RULE, 0},
    {"T_LEVEL", "Debug", LEVEL_RULE, 0},
    {"T_LEVEL", "inf", LEVEL_RULE, 0},
    {"T_LEVEL", "infos", LEVEL_RULE, 0},
    {"T_LEVEL", "info|warn", LEVEL_RULE, 0},
    {"T_LEVEL", "|", LEVEL_RULE, 0},
    {"T_USER", "0123456789", NULL, 0},
    {"T_USER", "0123456789x", "T_USER: at most 10 characters", 0},
    {"T_PASSWORD", "12345678", NULL, 0},
    {"T_PASSWORD", "1234567", PASS_RULE, 0},
    {"T_PASSWORD", "1", PASS_RULE, 0},
    {"T_PASSWORD", "p\xc3\xa4sswort # '\"$", NULL, 0},
    {"T_PASSWORD", "with-newline\n", LINE_RULE, 0},
    {"T_PASSWORD", "with\ttabulator", LINE_RULE, 0},
    {"T_PASSWORD", "with-delete\x7f", LINE_RULE, 0},
};
#define VALUE_COUNT ((int)(sizeof(values) / sizeof(values[0])))

START_TEST(value_follows_its_rule) {
    const struct value_case *row = &values[_i];
    (void)setenv(row->name, row->value, 1);
    if (row->error != NULL) {
        expect_error(row->error);
        return;
    }
    struct config *config = load_fine();
    if (strcmp(row->name, "T_PORT") == 0) {
        ck_assert_int_eq(target.port, row->number);
    } else if (strcmp(row->name, "T_OFFSET") == 0) {
        ck_assert_int_eq(target.offset, row->number);
    } else if (strcmp(row->name, "T_VERBOSE") == 0) {
        ck_assert_int_eq(target.verbose, row->number);
    } else if (strcmp(row->name, "T_LEVEL") == 0) {
        ck_assert_str_eq(target.level, row->value);
    } else if (strcmp(row->name, "T_USER") == 0) {
        ck_assert_str_eq(target.user, row->value);
    } else {
        ck_assert_str_eq(target.password, row->value);
    }
    config_free(config);
}
END_TEST

START_TEST(text_has_a_limit_of_its_own) {
    char *text = malloc(4098);
    memset(text, 'x', 4097);
    text[4096] = '\0';
    (void)setenv("T_PASSWORD", text, 1);
    config_free(load_fine());
    text[4096] = 'x';
    text[4097] = '\0';
    (void)setenv("T_PASSWORD", text, 1);
    expect_error("T_PASSWORD: at most 4096 characters");
    free(text);
}
END_TEST

START_TEST(required_of_every_type) {
    struct {
        const char *text;
        int64_t number;
        bool truth;
    } place;
    const struct config_setting required[] = {
        {.name = "T_A", .type = CONFIG_TEXT, .help = ""},
        {.name = "T_A", .type = CONFIG_TEXT, .minimum = 1, .help = ""},
        {.name = "T_A", .type = CONFIG_INTEGER, .minimum = 1, .maximum = 2, .help = ""},
        {.name = "T_A", .type = CONFIG_BOOLEAN, .help = ""},
        {.name = "T_A", .type = CONFIG_CHOICE, .choices = "a|b", .help = ""},
    };
    static const char *const errors[] = {
        "T_A: required",
        "T_A: required",
        "T_A: required, a whole number from 1 to 2",
        "T_A: required, true or false",
        "T_A: required, one of a|b",
    };
    (void)setenv("T_A", "", 1);
    for (size_t i = 0; i < sizeof(required) / sizeof(required[0]); i++) {
        ck_assert_ptr_null(config_load(&required[i], 1, NULL, &place, error, sizeof(error)));
        ck_assert_str_eq(error, errors[i]);
    }
}
END_TEST

/* ---- the file ---- */

struct file_case {
    const char *text;
    const char *user;  /* T_USER afterwards, or NULL: */
    const char *error; /* what follows the file's name */
};

static const struct file_case files[] = {
    {"T_USER=a", "a", NULL},
    {"T_USER=a\n", "a", NULL},
    {"T_USER=a\r\nT_LEVEL=warn\r\n", "a", NULL},
    {"\n\n# comment\n  # comment\nT_USER=a\n\n", "a", NULL},
    {"export T_USER=a\n", "a", NULL},
    {"export\tT_USER=a\n", "a", NULL},
    {"  T_USER=a\n", "a", NULL},
    {"T_USER = a\n", "a", NULL},
    {"T_USER=a b\n", "a b", NULL},
    {"T_USER=a  \t\n", "a", NULL},
    {"T_USER=a # comment\n", "a", NULL},
    {"T_USER=a#b\n", "a#b", NULL},
    {"T_USER=#b\n", "", NULL},
    {"T_USER=\n", "", NULL},
    {"T_USER=a=b\n", "a=b", NULL},
    {"T_USER=a'b\"c\n", "a'b\"c", NULL},
    {"T_USER=$HOME\n", "$HOME", NULL},
    {"T_USER=${X}`x`\n", "${X}`x`", NULL},
    {"T_USER='a # b'\n", "a # b", NULL},
    {"T_USER=' a '\n", " a ", NULL},
    {"T_USER='a\\n$X'\n", "a\\n$X", NULL},
    {"T_USER=''\n", "", NULL},
    {"T_USER='a' # comment\n", "a", NULL},
    {"T_USER='a\"b'\n", "a\"b", NULL},
    {"T_USER=\"a # b\"\n", "a # b", NULL},
    {"T_USER=\"a'b\"\n", "a'b", NULL},
    {"T_USER=\"a\\\"b\\\\c\"\n", "a\"b\\c", NULL},
    {"T_USER=\"\\$X\"\n", "$X", NULL},
    {"T_USER=\"$X\"\n", "$X", NULL},
    {"T_USER=\"\" # c\n", "", NULL},
    {"T_USER=a\nT_USER=b\n", "b", NULL},
    {"exportT_USER=a\n", "wallet", NULL},
    {"T_USERS=a\n", "wallet", NULL},
    {"export=a\nT_USER=b\n", "b", NULL},
    {"_X9=1\nT_USER=b\n", "b", NULL},
    {"", "wallet", NULL},

    {"T_USER\n", NULL, "line 1: expected KEY=value"},
    {"\n#\nT_USER:a\n", NULL, "line 3: expected KEY=value"},
    {"=a\n", NULL, "line 1: expected KEY=value"},
    {"9X=a\n", NULL, "line 1: expected KEY=value"},
    {"T-USER=a\n", NULL, "line 1: expected KEY=value"},
    {"T USER=a\n", NULL, "line 1: expected KEY=value"},
    {"\xef\xbb\xbfT_USER=a\n", NULL, "line 1: expected KEY=value"},
    {"export\n", NULL, "line 1: expected KEY=value"},
    {"export T_USER\n", NULL, "line 1: expected KEY=value"},
    {"T_USER='a\n", NULL, "line 1: a quote is not closed"},
    {"T_USER=\"a\n", NULL, "line 1: a quote is not closed"},
    {"T_USER='\n", NULL, "line 1: a quote is not closed"},
    {"T_USER=\"a\nb\"\n", NULL, "line 1: a quote is not closed"},
    {"T_USER=\"a\\\"\n", NULL, "line 1: a quote is not closed"},
    {"T_USER=\"a\\", NULL, "line 1: unknown escape in double quotes"},
    {"T_USER=\"\\x41\"\n", NULL, "line 1: unknown escape in double quotes"},
    {"T_USER='a'b\n", NULL, "line 1: text after a closing quote"},
    {"T_USER='a'#b\n", NULL, "line 1: text after a closing quote"},
    {"T_USER=\"a\" b\n", NULL, "line 1: text after a closing quote"},
    {"OTHER='unclosed\nT_USER=a\n", NULL, "line 1: a quote is not closed"},
};
#define FILE_COUNT ((int)(sizeof(files) / sizeof(files[0])))

START_TEST(file_is_read) {
    const struct file_case *row = &files[_i];
    write_env(row->text);
    if (row->error != NULL) {
        char expected[512];
        (void)snprintf(expected, sizeof(expected), "%s, %s", env_file, row->error);
        expect_error(expected);
        return;
    }
    struct config *config = load_fine();
    ck_assert_str_eq(target.user, row->user);
    config_free(config);
}
END_TEST

START_TEST(file_with_nul_is_refused) {
    write_env_bytes("T_USER=a\nT_ISSUER=a\0b\n", 22);
    char expected[256];
    (void)snprintf(expected, sizeof(expected), "%s, line 2: a NUL byte", env_file);
    expect_error(expected);
}
END_TEST

START_TEST(control_characters_of_quotes_meet_the_rules) {
    write_env("T_ISSUER=\"a\\nb\"\n");
    expect_error("T_ISSUER: one line without control characters");
}
END_TEST

/* ---- secrets ---- */

#define MARK "hunter2"

START_TEST(errors_hold_no_value) {
    static const char *const names[] = {"T_USER", "T_PASSWORD", "T_ISSUER", "T_LEVEL",
                                        "T_PORT", "T_OFFSET",   "T_VERBOSE"};
    static const char *const texts[] = {
        MARK,
        MARK "\n",
        "\x01" MARK,
        MARK MARK MARK MARK,
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        for (size_t j = 0; j < sizeof(texts) / sizeof(texts[0]); j++) {
            (void)setenv("T_PASSWORD", PASSWORD, 1);
            (void)setenv(names[i], texts[j], 1);
            struct config *config = load();
            if (config == NULL) {
                ck_assert_ptr_null(strstr(error, MARK));
                ck_assert_ptr_null(strchr(error, '\n'));
            }
            config_free(config);
            (void)unsetenv(names[i]);
        }
    }
    static const char *const lines[] = {
        "T_PASSWORD='" MARK "\n",
        "T_PASSWORD=\"" MARK "\\q\"\n",
        "T_PASSWORD=\"" MARK "\" x\n",
        "T_PASSWORD " MARK "\n",
        MARK "\n",
        "T_PASSWORD=" MARK "\n",
        "T_PASSWORD:" MARK "\n",
    };
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        (void)unsetenv("T_PASSWORD");
        write_env(lines[i]);
        ck_assert_ptr_null(load());
        ck_assert_ptr_null(strstr(error, MARK));
    }
}
END_TEST

/* What a call prints on standard output. */
static const char *printed(void (*print)(void)) {
    static char text[8192];
    char path[sizeof(directory) + 8];
    (void)snprintf(path, sizeof(path), "%s/out", directory);
    (void)fflush(stdout);
    const int kept = dup(STDOUT_FILENO);
    FILE *file = fopen(path, "w+");
    ck_assert(kept >= 0 && file != NULL && dup2(fileno(file), STDOUT_FILENO) >= 0);
    print();
    (void)fflush(stdout);
    (void)dup2(kept, STDOUT_FILENO);
    (void)close(kept);
    rewind(file);
    text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
    (void)fclose(file);
    (void)unlink(path);
    return text;
}

static void print_values(void) {
    config_print_values(settings, SETTING_COUNT, &target);
}

static void print_help(void) {
    config_print_help(settings, SETTING_COUNT);
}

START_TEST(values_are_printed_without_secrets) {
    (void)setenv("T_VERBOSE", "1", 1);
    (void)setenv("T_OFFSET", "-12", 1);
    struct config *config = load_fine();
    ck_assert_str_eq(printed(print_values), "T_USER      wallet\n"
                                            "T_PASSWORD  (set)\n"
                                            "T_ISSUER    (empty)\n"
                                            "T_LEVEL     info\n"
                                            "T_PORT      8001\n"
                                            "T_OFFSET    -12\n"
                                            "T_VERBOSE   true\n");
    config_free(config);
}
END_TEST

START_TEST(help_is_a_table) {
    ck_assert_str_eq(printed(print_help),
                     "  T_USER              wallet    Who connects\n"
                     "  T_PASSWORD          required  Password of the database\n"
                     "  T_ISSUER            -         Issuer to ask for\n"
                     "  T_LEVEL             info      Log level\n"
                     "  T_PORT, T_OLD_PORT  8001      Port\n"
                     "  T_OFFSET            0         Any number\n"
                     "  T_VERBOSE           false     Say more\n");
}
END_TEST

START_TEST(default_that_breaks_its_rule_aborts) {
    const struct config_setting broken = {
        .name = "T_A", .type = CONFIG_INTEGER, .default_value = "9", .maximum = 8, .help = ""};
    int64_t number = 0;
    (void)config_load(&broken, 1, NULL, &number, error, sizeof(error));
}
END_TEST

int main(void) {
    Suite *suite = suite_create("config");
    TCase *core = tcase_create("core");
    tcase_add_checked_fixture(core, set_up, tear_down);
    tcase_add_test(core, defaults_and_environment);
    tcase_add_test(core, environment_wins_over_file);
    tcase_add_test(core, alias_stands_behind_the_name);
    tcase_add_test(core, empty_is_missing_when_required);
    tcase_add_test(core, no_file_is_fine_an_unreadable_one_is_not);
    tcase_add_loop_test(core, value_follows_its_rule, 0, VALUE_COUNT);
    tcase_add_test(core, text_has_a_limit_of_its_own);
    tcase_add_test(core, required_of_every_type);
    tcase_add_loop_test(core, file_is_read, 0, FILE_COUNT);
    tcase_add_test(core, file_with_nul_is_refused);
    tcase_add_test(core, control_characters_of_quotes_meet_the_rules);
    tcase_add_test(core, errors_hold_no_value);
    tcase_add_test(core, values_are_printed_without_secrets);
    tcase_add_test(core, help_is_a_table);
    suite_add_tcase(suite, core);

    SRunner *runner = srunner_create(suite);
    if (srunner_fork_status(runner) == CK_FORK) {
        TCase *aborts = tcase_create("aborts");
        tcase_add_test_raise_signal(aborts, default_that_breaks_its_rule_aborts, SIGABRT);
        suite_add_tcase(suite, aborts);
    }
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
