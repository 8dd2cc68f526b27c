/*
 * statement: what each format's samples (tests/data/statements) mean, line by line; then the same
 * samples with one thing wrong, each with the line and the field that must be named; then XML that
 * is meant to hurt.
 */
#include "reports/statements/statement.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ledger_core/engine/asset.h"

struct bytes {
    char *text;
    size_t length;
};

static int decimals(void *owner, const char *currency) {
    (void)owner;
    const struct asset_currency *found = asset_iso4217(currency, strlen(currency));
    return found == NULL ? -1 : found->decimals;
}

static struct bytes load(const char *name) {
    char path[128];
    (void)snprintf(path, sizeof(path), "tests/data/statements/%s", name);
    FILE *file = fopen(path, "rb");
    ck_assert_msg(file != NULL, "%s", path);
    struct bytes bytes = {.text = calloc(1, 65536)};
    bytes.length = fread(bytes.text, 1, 65535, file);
    ck_assert_int_eq(fclose(file), 0);
    return bytes;
}

static struct statement_file *read_bytes(enum statement_format format, struct bytes bytes,
                                         const char *mapping, struct statement_error *error) {
    const struct statement_options options = {.decimals = decimals,
                                              .mapping = mapping,
                                              .mapping_length =
                                                  mapping == NULL ? 0 : strlen(mapping)};
    return statement_read(format, bytes.text, bytes.length, &options, error);
}

/* ---- what the samples mean ---- */

static size_t print_line(char *to, size_t room, const struct statement_line *line) {
    char booked[STATEMENT_DATE_TEXT], value[STATEMENT_DATE_TEXT] = "-";
    char references[256] = "";
    size_t used = 0;
    statement_date_format(line->booked_on, booked);
    if (line->value_on != STATEMENT_NO_DATE) {
        statement_date_format(line->value_on, value);
    }
    for (size_t i = 0; i < line->reference_count; i++) {
        used += (size_t)snprintf(references + used, sizeof(references) - used, "%s%s",
                                 i == 0 ? "" : "+", line->references[i]);
    }
    return (size_t)snprintf(to, room, "%s %s %lld [%s] [%s] [%s] [%s]%s\n", booked, value,
                            (long long)line->amount, references, line->bank_reference,
                            line->counterparty, line->text, line->reversal ? " reversal" : "");
}

static void print(const struct statement_file *file, char *to, size_t room) {
    size_t used = 0;
    for (size_t i = 0; i < statement_count(file); i++) {
        const struct statement *statement = statement_at(file, i);
        char opened[STATEMENT_DATE_TEXT], closed[STATEMENT_DATE_TEXT];
        statement_date_format(statement->opened_on, opened);
        statement_date_format(statement->closed_on, closed);
        used += (size_t)snprintf(
            to + used, room - used, "%s %s %lld %s %s %lld %s %lld%s\n", statement->account,
            statement->reference, (long long)statement->sequence, statement->currency, opened,
            (long long)statement->opening, closed, (long long)statement->closing,
            statement->opening_derived ? " derived" : "");
        for (size_t k = 0; k < statement->line_count; k++) {
            used += print_line(to + used, room - used, &statement->lines[k]);
        }
    }
}

static const struct {
    const char *name, *mapping;
    enum statement_format format;
    const char *meaning;
} samples[] = {
    {"camt053_02.xml", NULL, STATEMENT_CAMT053,
     "DE00TEST00000000000001 STMT-2026-41 41 EUR 2026-11-02 100000 2026-11-02 107050\n"
     "2026-11-02 2026-11-03 10000 [deposit-0001] [BANK-1] [Anna & Co] [thank you]\n"
     "2026-11-02 - -2025 [payout-0001] [] [] []\n"
     "2026-11-02 - -3025 [payout-0002] [] [] []\n"
     "2026-11-02 - 2100 [] [] [] [returned] reversal\n"},
    {"camt053_08.xml", NULL, STATEMENT_CAMT053,
     "4711 STMT-2026-42 42 JPY 2026-11-03 -100 2026-11-03 900\n"
     "2026-11-03 - 1000 [0198f5c1a0007000800000000000002a] [B-9] [太郎] []\n"},
    {"mt940.txt", NULL, STATEMENT_MT940,
     "10000000/0000000001 MSG0001/2027/12 12 EUR 2026-12-30 100000 2027-01-01 105505\n"
     "2027-01-02 2026-12-31 510 [] [BANK-1] [] [returned] reversal\n"
     "2026-12-31 2026-12-31 10000 [deposit-0001+deposit-0001-with-a-longer-name] [BANK-2] [ANNA] "
     "[EREF+deposit-0001-with-a-longer-nameSVWZ+thanks]\n"
     "2027-01-01 2026-12-31 -5005 [payout-0001] [] [] [/EREF/payout-0001/REMI/rent/]\n"},
    {"ofx1.ofx", NULL, STATEMENT_OFX,
     "12345 20261101-20261104 0 USD 2026-11-01 100000 2026-11-04 124850 derived\n"
     "2026-11-02 - 25000 [deposit-0001+hello] [F1] [A & B] [hello]\n"
     "2026-11-03 - -150 [77] [F2] [] []\n"},
    {"ofx2.ofx", NULL, STATEMENT_OFX,
     "9999 20261101-20261104 0 USD 2026-11-01 0 2026-11-04 -1000 derived\n"
     "2026-11-02 - -1000 [] [C1] [Shop] []\n"},
    {"newest_first.csv", "newest_first.map", STATEMENT_CSV,
     "4711 2026-11-02/2026-11-03 0 EUR 2026-11-02 0 2026-11-03 124850\n"
     "2026-11-03 2026-11-04 -150 [] [] [] [Fee; \"monthly\"]\n"
     "2026-11-02 - 125000 [deposit-0001] [] [] [Two lines]\n"},
    {"two_columns.csv", "two_columns.map", STATEMENT_CSV,
     " 2026-11 0 GBP 2026-11-01 100 2026-11-02 700\n"
     "2026-11-01 - 1000 [R-1] [B-1] [Somebody] []\n"
     "2026-11-02 - -400 [R-2] [B-2] [Nobody] []\n"},
};

START_TEST(a_sample) {
    const struct bytes bytes = load(samples[_i].name);
    struct bytes mapping = {0};
    struct statement_error error;
    char meaning[4096] = "";
    if (samples[_i].mapping != NULL) {
        mapping = load(samples[_i].mapping);
    } else {
        ck_assert_int_eq(statement_detect(bytes.text, bytes.length), samples[_i].format);
    }
    struct statement_file *file = read_bytes(samples[_i].format, bytes, mapping.text, &error);
    ck_assert_msg(file != NULL, "%s: line %u: %s %s", samples[_i].name, error.line, error.field,
                  error.reason);
    print(file, meaning, sizeof(meaning));
    ck_assert_str_eq(meaning, samples[_i].meaning);
    statement_file_free(file);
    free(bytes.text);
    free(mapping.text);
}
END_TEST

/* Whatever is cut off or changed in one byte: an answer, never a crash (run with sanitizers). */
START_TEST(a_damaged_sample) {
    struct bytes bytes = load(samples[_i].name), mapping = {0};
    struct statement_error error;
    if (samples[_i].mapping != NULL) {
        mapping = load(samples[_i].mapping);
    }
    for (size_t i = 0; i < bytes.length; i++) {
        const char kept = bytes.text[i];
        static const char others[] = "\0<9\xff:";
        for (size_t k = 0; k < sizeof(others) - 1; k++) {
            bytes.text[i] = others[k];
            statement_file_free(read_bytes(samples[_i].format, bytes, mapping.text, &error));
        }
        bytes.text[i] = kept;
        const struct bytes cut = {bytes.text, i};
        statement_file_free(read_bytes(samples[_i].format, cut, mapping.text, &error));
    }
    free(bytes.text);
    free(mapping.text);
}
END_TEST

/* ---- one thing wrong ---- */

static struct bytes replace(struct bytes from, const char *old, const char *new) {
    const char *found = strstr(from.text, old);
    ck_assert_msg(found != NULL, "%s", old);
    struct bytes to = {.text = calloc(1, from.length + strlen(new) + 1)};
    const size_t before = (size_t)(found - from.text);
    memcpy(to.text, from.text, before);
    memcpy(to.text + before, new, strlen(new));
    memcpy(to.text + before + strlen(new), found + strlen(old), from.length - before - strlen(old));
    to.length = from.length - strlen(old) + strlen(new);
    free(from.text);
    return to;
}

static const struct {
    int sample;
    const char *old, *new;
    unsigned line;
    const char *field;
} mistakes[] = {
    {0, ">1070.5<", ">1070.51<", 5, "closing balance"},
    {0, ">1070.5<", ">1070.505<", 17, "Bal/Amt"},
    {0, ">1070.5<", ">-1070.5<", 17, "Bal/Amt"},
    {0, ">1070.5<", "><", 17, "Bal/Amt"},
    {0, "Amt Ccy=\"EUR\">1070.5", "Amt Ccy=\"USD\">1070.5", 17, "Amt/Ccy"},
    {0, "Amt Ccy=\"EUR\">1070.5", "Amt>1070.5", 17, "Amt/Ccy"},
    {0, "<Ccy>EUR", "<Ccy>XXX", 10, "Acct/Ccy"},
    {0, "<Cd>CLBD", "<Cd>CLAV", 56, "Bal"},
    {0, "<Cd>PRCD", "<Cd>ITBD", 56, "Bal"},
    {0, ">STMT-2026-41<", "> <", 5, "statement id"},
    {0, "<NbOfNtries>4", "<NbOfNtries>5", 56, "TxsSummry/NbOfNtries"},
    {0, "<NbOfNtries>4", "<NbOfNtries>x", 20, "TxsSummry/NbOfNtries"},
    {0, "<Sum>60.50", "<Sum>60.51", 56, "TxsSummry/Sum"},
    {0, "<Dt>2026-11-03", "<Dt>2026-02-30", 26, "Ntry/ValDt"},
    {0, "<CdtDbtInd>DBIT", "<CdtDbtInd>DEBT", 35, "CdtDbtInd"},
    {0, "<RvslInd>true", "<RvslInd>perhaps", 49, "Ntry/RvslInd"},
    {0, "<Sts>BOOK</Sts>", "", 33, "Ntry/Sts"},
    {0, "</Document>", "", 59, "file"},
    {2, ":62F:C270101EUR1055,05", ":62F:C270101EUR1055,06", 5, "closing balance"},
    {2, ":62F:C270101EUR1055,05\r\n", "", 21, ":62F:"},
    {2, ":60M:C261231EUR1105,10", ":60M:C261231EUR1105,11", 16, ":60M:"},
    {2, ":28C:00012/002", ":28C:00012/003", 15, ":28C:"},
    {2, ":61:261231C100,N", ":61:261231X100,N", 8, ":61:"},
    {2, ":61:261231C100,N", ":61:261331C100,N", 8, ":61:"},
    {2, ":61:261231C100,N", ":61:261231C1OO,N", 8, ":61:"},
    {2, ":60F:C261230EUR", ":60F:C261230EU1", 5, "60F"},
    {3, "<FITID>F2", "<FITID>F1", 18, "FITID"},
    {3, "<TRNAMT>+250.00", "<TRNAMT>+25O.00", 17, "TRNAMT"},
    {3, "<CURDEF>USD", "<CURDEF>usd", 14, "CURDEF"},
    {3, "<LEDGERBAL>", "<OTHERBAL>", 22, "LEDGERBAL"},
    {3, "</STMTRS>", "", 23, "STMTRS"},
    {5, "1.248,50", "1.248,51", 4, "balance"},
    {5, "02.11.2026;", "31.11.2026;", 4, "date"},
    {5, "-1,50", "-1,5O", 3, "amount"},
    {5, "lines\"", "lines", 4, "record"},
    {5, "\"Saldo\"", "\"saldo\"", 2, "balance"},
    {6, ",,-4.00", ",4.00,-4.00", 2, "credit"},
    {6, "GBP,R-2", "EUR,R-2", 2, "currency"},
    {6, "10.00,,", "10.01,,", 1, "closing balance"},
};

START_TEST(a_mistake) {
    const int sample = mistakes[_i].sample;
    struct bytes mapping = {0};
    struct statement_error error;
    const struct bytes bytes =
        replace(load(samples[sample].name), mistakes[_i].old, mistakes[_i].new);
    if (samples[sample].mapping != NULL) {
        mapping = load(samples[sample].mapping);
    }
    ck_assert_msg(read_bytes(samples[sample].format, bytes, mapping.text, &error) == NULL, "%s",
                  mistakes[_i].new);
    ck_assert_msg(error.line == mistakes[_i].line && strcmp(error.field, mistakes[_i].field) == 0,
                  "%s instead of %s: line %u: %s %s", mistakes[_i].new, mistakes[_i].old,
                  error.line, error.field, error.reason);
    free(bytes.text);
    free(mapping.text);
}
END_TEST

START_TEST(a_wrong_mapping) {
    static const struct {
        const char *text;
        unsigned line;
    } wrong[] = {
        {"", 0},
        {"date = 1\namuont = 2\n", 2},
        {"date = 1\ndate = 2\n", 2},
        {"date\n", 1},
        {"date = 1\ndelimiter = ;;\n", 2},
        {"date = 1\namount = 2\ncredit = 3\ndebit = 4\ncurrency = =EUR\nbalance = 5\n", 0},
        {"date = 1\namount = 2\ncurrency = =EUR\n", 0},
        {"date = 1\namount = 2\nbalance = 3\n", 0},
        {"date = 1\namount = 2\nbalance = 3\ncurrency = 4\ndecimal = ,\ngroup = ,\n", 0},
    };
    const struct bytes bytes = load("two_columns.csv");
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        struct statement_error error;
        ck_assert_ptr_null(read_bytes(STATEMENT_CSV, bytes, wrong[i].text, &error));
        ck_assert_str_eq(error.field, "mapping");
        ck_assert_msg(error.line == wrong[i].line, "%s: %u", wrong[i].text, error.line);
    }
    free(bytes.text);
}
END_TEST

/* ---- hostile XML ---- */

static void expect_refused(struct bytes bytes, const char *reason) {
    struct statement_error error;
    ck_assert_ptr_null(read_bytes(STATEMENT_CAMT053, bytes, NULL, &error));
    ck_assert_msg(strstr(error.reason, reason) != NULL, "%s", error.reason);
    ck_assert_ptr_null(read_bytes(STATEMENT_OFX, bytes, NULL, &error));
}

static struct bytes text(const char *xml) {
    union {
        const char *text;
        char *bytes;
    } same = {.text = xml};
    return (struct bytes){same.bytes, strlen(xml)};
}

START_TEST(document_types_are_refused) {
    expect_refused(text("<?xml version=\"1.0\"?><!DOCTYPE a [<!ENTITY l \"lol\">"
                        "<!ENTITY m \"&l;&l;&l;&l;&l;&l;&l;&l;&l;&l;\">"
                        "<!ENTITY n \"&m;&m;&m;&m;&m;&m;&m;&m;&m;&m;\">]><Document>&n;</Document>"),
                   "document type");
    expect_refused(text("<?xml version=\"1.0\"?><!DOCTYPE a SYSTEM \"file:///etc/passwd\">"
                        "<Document/>"),
                   "document type");
    expect_refused(text("<?xml version=\"1.0\"?><!DOCTYPE a [<!ENTITY x SYSTEM "
                        "\"file:///etc/passwd\">]><Document>&x;</Document>"),
                   "document type");
    expect_refused(text("<?xml version=\"1.0\"?><Document>&x;</Document>"), "entity");
}
END_TEST

START_TEST(depth_is_limited) {
    const size_t depth = 1000000;
    struct bytes bytes = {.text = malloc(depth * 3 + 64)};
    memcpy(bytes.text, "<?xml version=\"1.0\"?>", 21);
    bytes.length = 21;
    for (size_t i = 0; i < depth; i++) {
        memcpy(bytes.text + bytes.length, "<a>", 3);
        bytes.length += 3;
    }
    expect_refused(bytes, "40 deep");
    free(bytes.text);
}
END_TEST

START_TEST(long_texts_and_names_are_limited) {
    const size_t length = 1000000;
    struct bytes bytes = {.text = malloc(length + 64), .length = length + 64};
    memset(bytes.text, 'a', bytes.length);
    memcpy(bytes.text, "<?xml version=\"1.0\"?><Document>", 31);
    expect_refused(bytes, "too long a text");
    bytes.text[30] = 'a';
    expect_refused(bytes, "");
    free(bytes.text);
}
END_TEST

START_TEST(encodings) {
    struct bytes sample = load("camt053_02.xml");
    struct statement_error error;
    /* A byte order mark, in UTF-8. */
    struct bytes marked = {.text = calloc(1, sample.length + 4), .length = sample.length + 3};
    memcpy(marked.text, "\xef\xbb\xbf", 3);
    memcpy(marked.text + 3, sample.text, sample.length);
    struct statement_file *file = read_bytes(STATEMENT_CAMT053, marked, NULL, &error);
    ck_assert_ptr_nonnull(file);
    statement_file_free(file);
    free(marked.text);
    /* UTF-16, little endian: the sample is ASCII. */
    sample = replace(sample, "UTF-8", "UTF-16");
    struct bytes wide = {.text = calloc(2, sample.length + 1), .length = 2 * sample.length + 2};
    memcpy(wide.text, "\xff\xfe", 2);
    for (size_t i = 0; i < sample.length; i++) {
        wide.text[2 * i + 2] = sample.text[i];
    }
    ck_assert_int_eq(statement_detect(wide.text, wide.length), STATEMENT_CAMT053);
    file = read_bytes(STATEMENT_CAMT053, wide, NULL, &error);
    ck_assert_msg(file != NULL, "%u %s %s", error.line, error.field, error.reason);
    ck_assert_int_eq((int)statement_at(file, 0)->closing, 107050);
    statement_file_free(file);
    free(wide.text);
    free(sample.text);
}
END_TEST

START_TEST(dates) {
    char text_of[STATEMENT_DATE_TEXT];
    int32_t day, last;
    ck_assert(statement_day(1970, 1, 1, &day));
    ck_assert_int_eq(day, 0);
    ck_assert(statement_day(2000, 2, 29, &day) && !statement_day(1900, 2, 29, &last));
    ck_assert(statement_day(2000, 3, 1, &last) && last == day + 1);
    ck_assert(!statement_day(2026, 13, 1, &last) && !statement_day(2026, 4, 31, &last));
    ck_assert(statement_day(1900, 1, 1, &day) && statement_day(9999, 12, 31, &last));
    for (int32_t at = day; at <= last; at++) {
        int32_t again;
        statement_date_format(at, text_of);
        const int year = (text_of[0] - '0') * 1000 + (text_of[1] - '0') * 100 +
                         (text_of[2] - '0') * 10 + (text_of[3] - '0');
        const int month = (text_of[5] - '0') * 10 + (text_of[6] - '0');
        const int of_month = (text_of[8] - '0') * 10 + (text_of[9] - '0');
        if (!statement_day(year, month, of_month, &again) || again != at) {
            ck_abort_msg("%s", text_of);
        }
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("statement");
    TCase *tests = tcase_create("statement");
    tcase_set_timeout(tests, 120);
    tcase_add_loop_test(tests, a_sample, 0, (int)(sizeof(samples) / sizeof(*samples)));
    tcase_add_loop_test(tests, a_damaged_sample, 0, (int)(sizeof(samples) / sizeof(*samples)));
    tcase_add_loop_test(tests, a_mistake, 0, (int)(sizeof(mistakes) / sizeof(*mistakes)));
    tcase_add_test(tests, a_wrong_mapping);
    tcase_add_test(tests, document_types_are_refused);
    tcase_add_test(tests, depth_is_limited);
    tcase_add_test(tests, long_texts_and_names_are_limited);
    tcase_add_test(tests, encodings);
    tcase_add_test(tests, dates);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
