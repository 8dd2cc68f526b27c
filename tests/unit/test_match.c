/*
 * match: the rules one by one on small cases; then 10,000 lines of a month's traffic with known
 * truth, of which one in ten is noise.  No match may be wrong, 98 % of the truth must be found, and
 * 100 orders of the same items must give the same groups.
 */
#include "reports/statements/match.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/model/random.h"

#define LINES_MAX   16000
#define ENTRIES_MAX 16000
#define TEXT_MAX    48
#define SMALL_MAX   128

/* ---- small cases ---- */

struct small {
    struct match_item lines[SMALL_MAX], entries[SMALL_MAX];
    struct match_outcome line_outcomes[SMALL_MAX], entry_outcomes[SMALL_MAX];
    size_t line_count, entry_count, groups;
    uint8_t passes[SMALL_MAX];
};

static void add(struct match_item *items, size_t *count, int on, long amount,
                const char *reference) {
    items[*count] = (struct match_item){.order = *count + 1, .on = on, .amount = amount};
    if (reference != NULL) {
        items[*count].references[0] = reference;
        items[*count].reference_count = 1;
    }
    ++*count;
}

static void run(struct small *small) {
    struct match_side lines = {small->lines, small->line_count, small->line_outcomes};
    struct match_side entries = {small->entries, small->entry_count, small->entry_outcomes};
    uint8_t *passes;
    small->groups = match_run(&lines, &entries, &MATCH_RULES_DEFAULT, &passes);
    ck_assert_uint_le(small->groups, sizeof(small->passes));
    if (small->groups > 0) {
        memcpy(small->passes, passes, small->groups);
    }
    free(passes);
}

static void line(struct small *small, int on, long amount, const char *reference) {
    add(small->lines, &small->line_count, on, amount, reference);
}

static void entry(struct small *small, int on, long amount, const char *reference) {
    add(small->entries, &small->entry_count, on, amount, reference);
}

START_TEST(nothing) {
    struct small small = {0};
    run(&small);
    ck_assert_uint_eq(small.groups, 0);
}
END_TEST

START_TEST(a_reference_and_the_amount) {
    struct small small = {0};
    line(&small, 100, 5000, "KEY-1");
    line(&small, 100, 5000, "key-2");
    line(&small, 100, 5000, "01234567890123456789012345678901");
    entry(&small, 90, 5000, "key-2"); /* capitals do not matter, nor do 10 days */
    entry(&small, 100, 5000, "KEY-1");
    entry(&small, 100, 5000, "01234567-8901-2345-6789-012345678901");
    run(&small);
    ck_assert_uint_eq(small.groups, 3);
    ck_assert_uint_eq(small.line_outcomes[0].group, small.entry_outcomes[1].group);
    ck_assert_uint_eq(small.line_outcomes[1].group, small.entry_outcomes[0].group);
    ck_assert_uint_eq(small.line_outcomes[2].group, small.entry_outcomes[2].group);
    ck_assert_uint_eq(small.passes[0], 1);
}
END_TEST

START_TEST(another_amount_is_a_break) {
    struct small small = {0};
    line(&small, 100, 4990, "KEY-1");
    entry(&small, 100, 5000, "KEY-1");
    entry(&small, 100, 4990, NULL); /* the amount alone says less than the reference */
    run(&small);
    ck_assert_uint_eq(small.groups, 0);
    ck_assert_int_eq(small.line_outcomes[0].category, MATCH_AMOUNT_MISMATCH);
    ck_assert_uint_eq(small.line_outcomes[0].counterpart, 0);
    ck_assert_int_eq(small.entry_outcomes[0].category, MATCH_AMOUNT_MISMATCH);
}
END_TEST

START_TEST(too_far_apart) {
    struct small small = {0};
    line(&small, 100, 5000, "KEY-1");
    entry(&small, 131, 5000, "KEY-1");
    line(&small, 200, 7000, NULL);
    entry(&small, 204, 7000, NULL);
    run(&small);
    ck_assert_uint_eq(small.groups, 0);
    ck_assert_int_eq(small.line_outcomes[0].category, MATCH_DATE_MISMATCH);
    ck_assert_int_eq(small.line_outcomes[1].category, MATCH_DATE_MISMATCH);
    ck_assert_uint_eq(small.line_outcomes[1].counterpart, 1);
    ck_assert_int_eq(small.entry_outcomes[1].category, MATCH_DATE_MISMATCH);
}
END_TEST

START_TEST(a_reference_used_each_month) {
    struct small small = {0};
    line(&small, 100, 5000, "RENT");
    line(&small, 125, 5000, "RENT");
    entry(&small, 126, 5000, "RENT");
    entry(&small, 99, 5000, "RENT");
    run(&small);
    ck_assert_uint_eq(small.groups, 2);
    ck_assert_uint_eq(small.line_outcomes[0].group, small.entry_outcomes[1].group);
    ck_assert_uint_eq(small.line_outcomes[1].group, small.entry_outcomes[0].group);
}
END_TEST

START_TEST(booked_twice) {
    struct small small = {0};
    line(&small, 102, 5000, "KEY-1");
    line(&small, 101, 5000, "KEY-1");
    entry(&small, 100, 5000, "KEY-1");
    run(&small);
    ck_assert_uint_eq(small.groups, 1);
    ck_assert_uint_eq(small.line_outcomes[1].group, 0);
    ck_assert_int_eq(small.line_outcomes[0].category, MATCH_DUPLICATE);
    ck_assert_uint_eq(small.line_outcomes[0].counterpart, 0);
}
END_TEST

START_TEST(two_entries_for_one_line) {
    struct small small = {0};
    line(&small, 101, 5000, "KEY-1");
    entry(&small, 100, 5000, "KEY-1");
    entry(&small, 101, 5000, "KEY-1");
    run(&small);
    ck_assert_uint_eq(small.groups, 0);
    ck_assert_int_eq(small.line_outcomes[0].category, MATCH_AMBIGUOUS);
}
END_TEST

START_TEST(amount_and_date) {
    struct small small = {0};
    line(&small, 100, 5001, NULL);
    entry(&small, 103, 5001, "a-key-that-the-bank-lost");
    line(&small, 100, 7000, NULL); /* two entries could be it */
    entry(&small, 98, 7000, NULL);
    entry(&small, 101, 7000, NULL);
    entry(&small, 100, -7000, NULL);
    run(&small);
    ck_assert_uint_eq(small.groups, 1);
    ck_assert_uint_eq(small.passes[0], 2);
    ck_assert_uint_eq(small.entry_outcomes[0].group, 0);
    ck_assert_int_eq(small.line_outcomes[1].category, MATCH_AMBIGUOUS);
    ck_assert_int_eq(small.entry_outcomes[1].category, MATCH_AMBIGUOUS);
    ck_assert_int_eq(small.entry_outcomes[3].category, MATCH_MISSING);
}
END_TEST

START_TEST(a_popular_amount_proves_nothing) {
    struct small small = {0};
    line(&small, 100, 10000, "KEY-1");
    entry(&small, 100, 10000, "KEY-1");
    line(&small, 101, 10000, NULL);
    entry(&small, 101, 10000, NULL);
    run(&small);
    ck_assert_uint_eq(small.groups, 1);
    ck_assert_int_eq(small.line_outcomes[1].category, MATCH_AMBIGUOUS);
}
END_TEST

/* Where it is alone, too: three others are out of its window. */
START_TEST(an_amount_that_is_popular_elsewhere_proves_nothing) {
    struct small small = {0};
    for (int day = 110; day < 125; day += 5) {
        line(&small, day, 10000, NULL);
        entry(&small, day, 10000, NULL);
    }
    line(&small, 100, 10000, NULL);
    entry(&small, 100, 10000, NULL);
    run(&small);
    ck_assert_uint_eq(small.groups, 0);
    ck_assert_int_eq(small.line_outcomes[3].category, MATCH_AMBIGUOUS);
}
END_TEST

START_TEST(a_line_that_names_something_else_of_that_kind) {
    struct small small = {0};
    line(&small, 100, 5001, "key-0123456789");
    entry(&small, 100, 5001, "key-9876543210");
    line(&small, 100, 7001, "bank-0123456789"); /* of another form: the bank's own */
    entry(&small, 100, 7001, "key-1111111111");
    run(&small);
    ck_assert_uint_eq(small.groups, 1);
    ck_assert_int_eq(small.line_outcomes[0].category, MATCH_AMBIGUOUS);
    ck_assert_int_eq(small.line_outcomes[1].category, MATCH_MATCHED);
}
END_TEST

START_TEST(a_part_of_a_sum_is_no_pair) {
    struct small small = {0};
    line(&small, 100, 260776, NULL); /* is it the first entry? */
    line(&small, 101, 700001, NULL); /* or is that a part of this? */
    entry(&small, 100, 260776, NULL);
    entry(&small, 100, 439225, NULL);
    line(&small, 200, -131483, NULL); /* the other way round */
    line(&small, 200, -379772, NULL);
    entry(&small, 200, -131483, NULL);
    entry(&small, 200, -511255, NULL);
    run(&small);
    ck_assert_uint_eq(small.groups, 0);
    ck_assert_int_eq(small.line_outcomes[0].category, MATCH_AMBIGUOUS);
    ck_assert_int_eq(small.entry_outcomes[2].category, MATCH_AMBIGUOUS);
}
END_TEST

/* A hundred pairs are found by reference, each a day later; then another gap is no evidence. */
START_TEST(unusual_days_are_no_evidence) {
    for (int pairs = 99; pairs <= 100; pairs++) {
        struct small small = {0};
        char texts[100][16];
        for (int i = 0; i < pairs; i++) {
            (void)snprintf(texts[i], sizeof(texts[i]), "ref%d", i);
            entry(&small, 1000 + i, 100001 + i, texts[i]);
            line(&small, 1001 + i, 100001 + i, texts[i]);
        }
        entry(&small, 100, 5001, NULL);
        line(&small, 101, 5001, NULL);
        entry(&small, 100, 7001, NULL);
        line(&small, 98, 7001, NULL);
        run(&small);
        ck_assert_uint_eq(small.groups, (size_t)pairs + (pairs < 100 ? 2 : 1));
        ck_assert_int_eq(small.line_outcomes[pairs].category, MATCH_MATCHED);
        ck_assert_int_eq(small.line_outcomes[pairs + 1].category,
                         pairs < 100 ? MATCH_MATCHED : MATCH_AMBIGUOUS);
    }
}
END_TEST

START_TEST(settled_items_are_seen_but_not_touched) {
    struct small small = {0};
    line(&small, 100, 5000, "KEY-1");
    line(&small, 101, 5000, "KEY-1");
    entry(&small, 100, 5000, "KEY-1");
    small.lines[0].settled = small.entries[0].settled = true;
    run(&small);
    ck_assert_uint_eq(small.groups, 0);
    ck_assert_int_eq(small.line_outcomes[0].category, MATCH_MATCHED);
    ck_assert_int_eq(small.line_outcomes[1].category, MATCH_DUPLICATE);
}
END_TEST

START_TEST(sums_of_a_reference) {
    struct small small = {0};
    line(&small, 100, -6000, "PAYOUT-7");
    entry(&small, 99, -1000, "PAYOUT-7");
    entry(&small, 99, -2000, "PAYOUT-7");
    entry(&small, 99, -3000, "PAYOUT-7");
    line(&small, 100, 400, "SPLIT-1");
    line(&small, 101, 600, "SPLIT-1");
    entry(&small, 100, 1000, "SPLIT-1");
    line(&small, 100, 77, "PART-1"); /* not all of it */
    entry(&small, 100, 33, "PART-1");
    entry(&small, 100, 43, "PART-1");
    run(&small);
    ck_assert_uint_eq(small.groups, 2);
    ck_assert_uint_eq(small.passes[0], 3);
    ck_assert_uint_eq(small.line_outcomes[0].group, small.entry_outcomes[2].group);
    ck_assert_uint_eq(small.line_outcomes[1].group, small.line_outcomes[2].group);
    ck_assert_uint_eq(small.line_outcomes[1].group, small.entry_outcomes[3].group);
    ck_assert_int_eq(small.line_outcomes[3].category, MATCH_AMOUNT_MISMATCH);
}
END_TEST

START_TEST(sums_of_a_window) {
    struct small small = {0};
    line(&small, 100, 1234567, NULL);
    entry(&small, 99, 234566, NULL);
    entry(&small, 99, 1000001, NULL);
    entry(&small, 99, 717171, NULL);
    line(&small, 200, 30000, NULL); /* round amounts: chance explains it */
    entry(&small, 200, 10000, NULL);
    entry(&small, 200, 20000, NULL);
    run(&small);
    ck_assert_uint_eq(small.groups, 1);
    ck_assert_uint_eq(small.line_outcomes[0].group, 0);
    ck_assert_uint_eq(small.entry_outcomes[0].group, 0);
    ck_assert_uint_eq(small.entry_outcomes[1].group, 0);
    ck_assert_int_eq(small.entry_outcomes[2].category, MATCH_MISSING);
    ck_assert_int_eq(small.line_outcomes[1].category, MATCH_MISSING);
}
END_TEST

START_TEST(reversals_are_named) {
    struct small small = {0};
    line(&small, 100, -5000, NULL);
    small.lines[0].reversal = true;
    entry(&small, 100, -5000, NULL);
    run(&small);
    ck_assert_uint_eq(small.groups, 0);
    ck_assert_int_eq(small.line_outcomes[0].category, MATCH_REVERSAL_UNPAIRED);
}
END_TEST

/* ---- the corpus ---- */

struct corpus {
    struct match_item lines[LINES_MAX], entries[ENTRIES_MAX];
    int line_truth[LINES_MAX], entry_truth[ENTRIES_MAX]; /* group, or -1 */
    char texts[LINES_MAX + ENTRIES_MAX][TEXT_MAX];
    size_t line_count, entry_count, text_count;
    int truths;
    struct match_outcome line_outcomes[LINES_MAX], entry_outcomes[ENTRIES_MAX];
};

static struct corpus corpus, shuffled;

static const char *new_text(const char *prefix, uint64_t number) {
    char *text = corpus.texts[corpus.text_count++];
    (void)snprintf(text, TEXT_MAX, "%s%016llx", prefix, (unsigned long long)number);
    return text;
}

static size_t new_line(int on, money_minor amount, const char *reference, int truth) {
    const size_t i = corpus.line_count++;
    ck_assert_uint_lt(i, LINES_MAX);
    corpus.lines[i] = (struct match_item){.order = i + 1, .on = on, .amount = amount};
    if (reference != NULL) {
        corpus.lines[i].references[corpus.lines[i].reference_count++] = reference;
    }
    corpus.line_truth[i] = truth;
    return i;
}

static size_t new_entry(struct test_random *random, int on, money_minor amount,
                        const char *reference, int truth) {
    const size_t i = corpus.entry_count++;
    ck_assert_uint_lt(i, ENTRIES_MAX);
    corpus.entries[i] = (struct match_item){.order = i + 1, .on = on, .amount = amount};
    corpus.entries[i].references[corpus.entries[i].reference_count++] =
        new_text("tx", random_next(random));
    if (reference != NULL) {
        corpus.entries[i].references[corpus.entries[i].reference_count++] = reference;
    }
    corpus.entry_truth[i] = truth;
    return i;
}

/* A third are round; the sign is that of a deposit or a withdrawal. */
static money_minor new_amount(struct test_random *random) {
    const money_minor amount = random_percent(random, 33)
                                   ? (money_minor)(1 + random_below(random, 50)) * 10000
                                   : (money_minor)(100 + random_below(random, 800000));
    return random_percent(random, 40) ? -amount : amount;
}

static void add_sum(struct test_random *random, int on, bool referenced, bool split) {
    const size_t parts = referenced ? 2 + random_below(random, 5) : 2;
    const char *reference = referenced ? new_text("batch-", random_next(random)) : NULL;
    money_minor sum = 0;
    const int truth = corpus.truths++;
    for (size_t i = 0; i < parts; i++) {
        const money_minor part = 100 + random_below(random, 800000);
        sum += part;
        if (split) {
            new_line(on, part, reference, truth);
        } else {
            new_entry(random, on, part, reference, truth);
        }
    }
    if (split) {
        new_entry(random, on, sum, reference, truth);
    } else {
        new_line(on, sum, reference, truth);
    }
}

/* One piece of traffic; `kind` 0..99: of which 90 are clean. */
static void add_traffic(struct test_random *random, uint32_t kind) {
    const int on = 20000 + (int)random_below(random, 30);
    const int late = on + (int)random_below(random, 3);
    const money_minor amount = new_amount(random);
    const char *key = new_text("key-", random_next(random));
    const uint32_t finer = random_below(random, 10);
    if (kind < 90) {
        new_entry(random, on, amount, key, corpus.truths);
        new_line(late, amount, key, corpus.truths++);
    } else if (kind < 92) { /* the bank lost the reference */
        new_entry(random, on, amount, key, corpus.truths);
        new_line(late, amount, finer < 5 ? NULL : new_text("bank-", random_next(random)),
                 corpus.truths++);
    } else if (kind < 94) { /* late */
        new_entry(random, on, amount, key, corpus.truths);
        new_line(on + 4 + (int)finer, amount, key, corpus.truths++);
    } else if (kind == 94) { /* not ours */
        new_line(on, amount, finer < 5 ? NULL : key, -1);
    } else if (kind == 95) { /* never came */
        new_entry(random, on, amount, key, -1);
    } else if (kind == 96) { /* booked twice by the bank */
        new_entry(random, on, amount, key, corpus.truths);
        new_line(late, amount, key, corpus.truths++);
        new_line(late + (int)random_below(random, 3), amount, key, -1);
    } else if (kind == 97) { /* less a fee */
        new_entry(random, on, amount, key, -1);
        new_line(late, amount - 150, key, -1);
    } else if (kind == 98) {
        add_sum(random, on, true, finer < 5);
    } else if (finer < 3) {
        add_sum(random, on, false, false);
    } else { /* undone by the bank */
        new_entry(random, on, amount, key, corpus.truths);
        new_line(late, amount, key, corpus.truths++);
        corpus.lines[new_line(late, -amount, key, -1)].reversal = true;
    }
}

static void run_corpus(struct corpus *of, size_t *groups) {
    struct match_side lines = {of->lines, of->line_count, of->line_outcomes};
    struct match_side entries = {of->entries, of->entry_count, of->entry_outcomes};
    uint8_t *passes;
    *groups = match_run(&lines, &entries, &MATCH_RULES_DEFAULT, &passes);
    free(passes);
}

/* Counts the groups that are exactly a truth, and those that are anything else. */
static void score(size_t groups, size_t *right, size_t *wrong) {
    int *truth_of = calloc(groups + 1, sizeof(int));
    size_t *members = calloc(groups + 1, sizeof(size_t));
    size_t *sizes = calloc((size_t)corpus.truths + 1, sizeof(size_t));
    bool *bad = calloc(groups + 1, sizeof(bool));
    for (int side = 0; side < 2; side++) {
        const size_t count = side == 0 ? corpus.line_count : corpus.entry_count;
        const int *truths = side == 0 ? corpus.line_truth : corpus.entry_truth;
        const struct match_outcome *outcomes =
            side == 0 ? corpus.line_outcomes : corpus.entry_outcomes;
        for (size_t i = 0; i < count; i++) {
            if (truths[i] >= 0) {
                sizes[truths[i]]++;
            }
            if (outcomes[i].category == MATCH_MATCHED) {
                const size_t group = outcomes[i].group;
                ck_assert_uint_lt(group, groups);
                bad[group] |= truths[i] < 0 || (members[group] > 0 && truth_of[group] != truths[i]);
                truth_of[group] = truths[i];
                members[group]++;
            }
        }
    }
    *right = *wrong = 0;
    for (size_t g = 0; g < groups; g++) {
        const bool exact = !bad[g] && members[g] == sizes[truth_of[g]];
        *right += exact ? 1 : 0;
        *wrong += exact ? 0 : 1;
    }
    free(truth_of);
    free(members);
    free(sizes);
    free(bad);
}

static void shuffle(struct test_random *random, const struct match_item *from,
                    struct match_item *to, size_t count) {
    memcpy(to, from, count * sizeof(*from));
    for (size_t i = count; i > 1; i--) {
        const size_t k = random_below(random, (uint32_t)i);
        const struct match_item other = to[i - 1];
        to[i - 1] = to[k];
        to[k] = other;
    }
}

/* The order number is the index in the corpus, plus one. */
static void compare_shuffled(void) {
    for (size_t i = 0; i < corpus.line_count; i++) {
        const struct match_outcome *a = &shuffled.line_outcomes[i],
                                   *b = &corpus.line_outcomes[shuffled.lines[i].order - 1];
        if (a->category != b->category || a->group != b->group) {
            ck_abort_msg("a line has another outcome in another order");
        }
    }
    for (size_t i = 0; i < corpus.entry_count; i++) {
        const struct match_outcome *a = &shuffled.entry_outcomes[i],
                                   *b = &corpus.entry_outcomes[shuffled.entries[i].order - 1];
        if (a->category != b->category || a->group != b->group) {
            ck_abort_msg("an entry has another outcome in another order");
        }
    }
}

START_TEST(ten_thousand_lines) {
    /* A wrong pair may look right in everything: README.md says how seldom. A fixed seed here. */
    const uint64_t seed = random_environment("PACIOLI_SEED", 20261125);
    const uint64_t rounds = random_environment("PACIOLI_MATCH_ROUNDS", 5);
    for (uint64_t round = 0; round < rounds; round++) {
        struct test_random random = {seed + round};
        size_t groups, right, wrong;
        memset(&corpus, 0, sizeof(corpus));
        while (corpus.line_count < 10000) {
            add_traffic(&random, random_below(&random, 100));
        }
        run_corpus(&corpus, &groups);
        score(groups, &right, &wrong);
        printf("seed %llu: %zu lines, %zu entries, %d true groups: %zu found, %zu wrong\n",
               (unsigned long long)(seed + round), corpus.line_count, corpus.entry_count,
               corpus.truths, right, wrong);
        (void)fflush(stdout);
        ck_assert_msg(wrong == 0, "PACIOLI_SEED=%llu", (unsigned long long)(seed + round));
        ck_assert_msg(right * 100 >= (size_t)corpus.truths * 98, "PACIOLI_SEED=%llu",
                      (unsigned long long)(seed + round));
        for (int i = 0; round == 0 && i < 100; i++) {
            shuffled.line_count = corpus.line_count;
            shuffled.entry_count = corpus.entry_count;
            shuffle(&random, corpus.lines, shuffled.lines, corpus.line_count);
            shuffle(&random, corpus.entries, shuffled.entries, corpus.entry_count);
            size_t again;
            run_corpus(&shuffled, &again);
            ck_assert_uint_eq(again, groups);
            compare_shuffled();
        }
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("match");
    TCase *rules = tcase_create("rules");
    tcase_add_test(rules, nothing);
    tcase_add_test(rules, a_reference_and_the_amount);
    tcase_add_test(rules, another_amount_is_a_break);
    tcase_add_test(rules, too_far_apart);
    tcase_add_test(rules, a_reference_used_each_month);
    tcase_add_test(rules, booked_twice);
    tcase_add_test(rules, two_entries_for_one_line);
    tcase_add_test(rules, amount_and_date);
    tcase_add_test(rules, a_popular_amount_proves_nothing);
    tcase_add_test(rules, an_amount_that_is_popular_elsewhere_proves_nothing);
    tcase_add_test(rules, a_line_that_names_something_else_of_that_kind);
    tcase_add_test(rules, a_part_of_a_sum_is_no_pair);
    tcase_add_test(rules, unusual_days_are_no_evidence);
    tcase_add_test(rules, settled_items_are_seen_but_not_touched);
    tcase_add_test(rules, sums_of_a_reference);
    tcase_add_test(rules, sums_of_a_window);
    tcase_add_test(rules, reversals_are_named);
    suite_add_tcase(suite, rules);
    TCase *traffic = tcase_create("traffic");
    tcase_set_timeout(traffic, 300);
    tcase_add_test(traffic, ten_thousand_lines);
    suite_add_tcase(suite, traffic);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
