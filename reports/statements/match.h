/*
 * match: which lines of bank statements and which entries of a settlement account are the same
 * money.
 *
 * Pure and deterministic: the same items give the same groups, whatever their order, because all
 * work is done in the order of their `order` numbers.  Only what can be told with certainty is
 * matched; whatever could be two things is left for a person, with a category.
 *
 *   pass 1  a reference in common, the same amount, at most reference_days apart
 *   pass 2  the same amount, at most window_days apart, and nothing else of that amount there;
 *           neither is a part of a sum, the line names nothing else of the entry's kind, and as
 * many days between the two are usual on this account pass 3  one item against several: those that
 * share its reference and make its amount, or else the only few within window_days that make it, if
 * chance is no explanation
 */
#ifndef PACIOLI_STATEMENTS_MATCH_H
#define PACIOLI_STATEMENTS_MATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ledger_core/engine/money.h"

#define MATCH_REFERENCES_MAX 8
#define MATCH_SUBSET_MAX     6
#define MATCH_NONE           SIZE_MAX

/* A line or an entry. */
struct match_item {
    uint64_t order; /* unique on its side, and the same in every run */
    int32_t on;     /* day */
    money_minor amount;
    const char *references[MATCH_REFERENCES_MAX];
    size_t reference_count;
    bool settled;  /* matched in an earlier run: not matched again, but seen */
    bool reversal; /* says of itself that it undoes another */
};

enum match_category {
    MATCH_MATCHED,
    MATCH_MISSING, /* nothing on the other side looks like it */
    MATCH_AMOUNT_MISMATCH,
    MATCH_DATE_MISMATCH,
    MATCH_DUPLICATE,
    MATCH_REVERSAL_UNPAIRED,
    MATCH_AMBIGUOUS,
};

/* What became of one item. */
struct match_outcome {
    enum match_category category;
    size_t group;       /* MATCH_MATCHED: number of its group */
    size_t counterpart; /* index of an item of the other side that explains the category, or NONE */
};

struct match_rules {
    int window_days;    /* 0..31 */
    int reference_days; /* window_days..366 */
    int subset_max;     /* most items in a sum of pass 3, 2..MATCH_SUBSET_MAX; 0: no sums */
};

#define MATCH_RULES_DEFAULT ((struct match_rules){3, 30, 4})

struct match_side {
    const struct match_item *items;
    size_t count;
    struct match_outcome *outcomes; /* written, one per item; settled ones stay MATCH_MATCHED */
};

/* Returns the number of groups; *passes (one byte per group, 1..3) is the caller's to free. */
size_t match_run(struct match_side *lines, struct match_side *entries,
                 const struct match_rules *rules, uint8_t **passes);

#endif
