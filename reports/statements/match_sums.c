/*
 * Pass 3: one item against the sum of several.
 *
 * Design: where the items share a reference, the reference is the evidence, and all that share it
 * must make the sum.  Where they do not, the evidence is the sum alone, and sums happen by chance:
 * of n subsets tried against an amount of a range r, about n / r fit without meaning anything.  So
 * the number of subsets that may be tried for one amount is limited to its range divided by CHANCE
 * and by the number of amounts that are tried at all.  The range of a sum that was found counts in
 * steps of the greatest common divisor of its amounts: round amounts make round sums by chance.
 *
 * Every target makes its claim against the same unmatched items; a claim holds only if no item of
 * it is in another one.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "reports/statements/match_internal.h"
#include "service_kit/memory.h"

#define CHANCE         1000 /* at most 1 wrong claim in so many runs is expected */
#define CANDIDATES_MAX 64
#define SUBSETS_MAX    1000000 /* tried for one target */

struct claim {
    int side; /* of the target */
    size_t target;
    size_t members[MATCH_SUBSET_MAX]; /* of the other side */
    size_t count;
};

struct search {
    money_minor amounts[CANDIDATES_MAX];
    size_t indices[CANDIDATES_MAX];
    size_t count;
    money_minor target;
    uint64_t budget, tried;
    size_t found; /* how many subsets of the size fit */
    size_t chosen[MATCH_SUBSET_MAX];
    size_t members[MATCH_SUBSET_MAX];
    size_t size;
};

/* ---- sums of a reference ---- */

/* The unmatched items of one side of a group, and their sum; false when it does not fit. */
static bool gather(const struct matching *matching, const struct reference *references,
                   size_t count, size_t *found, money_minor *sum) {
    *found = 0;
    *sum = 0;
    for (size_t i = 0; i < count; i++) {
        const struct side *side = &matching->sides[references[i].side];
        if (!side->matched[references[i].index]) {
            ++*found;
            if (!money_add(*sum, side->items[references[i].index]->amount, sum)) {
                return false;
            }
        }
    }
    return true;
}

static bool dates_are_near(const struct matching *matching, const struct reference *references,
                           size_t count) {
    const struct match_item *low = NULL, *high = NULL;
    for (size_t i = 0; i < count; i++) {
        const struct side *side = &matching->sides[references[i].side];
        const struct match_item *item = side->items[references[i].index];
        if (!side->matched[references[i].index]) {
            low = low == NULL || item->on < low->on ? item : low;
            high = high == NULL || item->on > high->on ? item : high;
        }
    }
    return low != NULL && matching_gap(low, high) <= matching->rules->reference_days;
}

void match_reference_sums(struct matching *matching) {
    for (size_t g = 0; g < matching->group_count; g++) {
        const struct reference_group *group = &matching->groups[g];
        const struct reference *first = &matching->references[group->first];
        size_t lines, entries;
        money_minor line_sum, entry_sum;
        if (!gather(matching, first, group->lines, &lines, &line_sum) ||
            !gather(matching, first + group->lines, group->entries, &entries, &entry_sum) ||
            line_sum != entry_sum || lines == 0 || entries == 0 || (lines > 1 && entries > 1) ||
            lines + entries == 2 ||
            !dates_are_near(matching, first, group->lines + group->entries)) {
            continue;
        }
        const size_t match = matching_begin(matching, 3);
        for (size_t i = 0; i < group->lines + group->entries; i++) {
            if (!matching->sides[first[i].side].matched[first[i].index]) {
                matching_add(matching, match, first[i].side, first[i].index);
            }
        }
    }
}

/* ---- sums of a window ---- */

static money_minor magnitude(money_minor amount) {
    return amount < 0 ? -amount : amount;
}

static money_minor greatest_divisor(money_minor a, money_minor b) {
    while (b != 0) {
        const money_minor rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* Of two alike nobody can say which of them it is that a sum needs; and what could be a pair with
 * one item of the other side may be that. */
static bool is_free(const struct matching *matching, int of, size_t index) {
    const struct side *side = &matching->sides[of];
    return !side->matched[index] && !side->named[index] && !side->items[index]->reversal &&
           !matching_is_popular(matching, side->items[index]) &&
           matching_neighbours(side, side->items[index], matching->rules->window_days).count == 1 &&
           !matching_has_equal(matching, of, index);
}

/* The free items of the other side that could be a part of the target's amount. */
static bool find_candidates(const struct matching *matching, int of, size_t target_index, int days,
                            const size_t *free_items, size_t free_count, struct search *search) {
    const struct side *side = &matching->sides[1 - of];
    const struct match_item *target = matching->sides[of].items[target_index];
    search->count = 0;
    for (size_t i = 0; i < free_count; i++) {
        const struct match_item *item = side->items[free_items[i]];
        if (matching_gap(item, target) > days || (item->amount < 0) != (target->amount < 0) ||
            magnitude(item->amount) >= magnitude(target->amount) ||
            (of == LINES ? matching_contradicts(matching, target_index, free_items[i])
                         : matching_contradicts(matching, free_items[i], target_index))) {
            continue;
        }
        if (search->count == CANDIDATES_MAX) {
            return false;
        }
        search->amounts[search->count] = magnitude(item->amount);
        search->indices[search->count++] = free_items[i];
    }
    return search->count >= 2;
}

static uint64_t combinations(size_t n, size_t k) {
    uint64_t result = 1;
    for (size_t i = 0; i < k; i++) {
        result = result * (n - i) / (i + 1);
    }
    return result;
}

/* Tries all subsets of search->size, counting up like an odometer. */
static void try_subsets(struct search *search) {
    const size_t size = search->size, count = search->count;
    size_t *chosen = search->chosen;
    search->found = 0;
    for (size_t i = 0; i < size; i++) {
        chosen[i] = i;
    }
    for (;;) {
        money_minor sum = 0;
        for (size_t i = 0; i < size; i++) {
            if (!money_add(sum, search->amounts[chosen[i]], &sum)) {
                sum = -1;
                break;
            }
        }
        if (sum == search->target && search->found++ == 0) {
            for (size_t i = 0; i < size; i++) {
                search->members[i] = search->indices[chosen[i]];
            }
        }
        size_t place = size;
        while (place > 0 && chosen[place - 1] == count - size + place - 1) {
            place--;
        }
        if (place == 0) {
            return;
        }
        chosen[place - 1]++;
        for (size_t i = place; i < size; i++) {
            chosen[i] = chosen[i - 1] + 1;
        }
    }
}

/* How many subsets may be tried before one that fits means nothing. */
static uint64_t tries_allowed(money_minor target, money_minor divisor, size_t targets) {
    const money_minor allowed = target / divisor / CHANCE / (money_minor)targets;
    return allowed > SUBSETS_MAX ? SUBSETS_MAX : (uint64_t)allowed;
}

/* Whether the sum that was found is more than chance. */
static bool is_evident(const struct side *side, const struct search *search, size_t targets) {
    money_minor divisor = search->target;
    for (size_t i = 0; i < search->size; i++) {
        divisor = greatest_divisor(magnitude(side->items[search->members[i]]->amount), divisor);
    }
    return search->tried <= tries_allowed(search->target, divisor, targets);
}

/* Whether exactly one subset of the smallest size that has any makes the target. */
static bool find_subset(struct search *search, int subset_max) {
    for (search->size = 2; search->size <= (size_t)subset_max && search->size <= search->count;
         search->size++) {
        const uint64_t subsets = combinations(search->count, search->size);
        if (subsets > SUBSETS_MAX || subsets > search->budget - search->tried) {
            return false;
        }
        search->tried += subsets;
        try_subsets(search);
        if (search->found > 0) {
            return search->found == 1;
        }
    }
    search->found = 0;
    return false;
}

static bool make_claim(const struct matching *matching, int side, size_t target,
                       const size_t *free_items, size_t free_count, size_t targets,
                       struct claim *claim) {
    const struct side *of = &matching->sides[side], *others = &matching->sides[1 - side];
    struct search search = {.target = magnitude(of->items[target]->amount)};
    for (int days = 0; days <= matching->rules->window_days; days++) {
        if (!find_candidates(matching, side, target, days, free_items, free_count, &search)) {
            if (search.count == CANDIDATES_MAX) {
                return false;
            }
            continue;
        }
        search.budget = tries_allowed(search.target, 1, targets);
        if (search.budget <= search.tried) {
            return false;
        }
        if (find_subset(&search, matching->rules->subset_max)) {
            if (!is_evident(others, &search, targets)) {
                return false;
            }
            *claim = (struct claim){.side = side, .target = target, .count = search.size};
            memcpy(claim->members, search.members, sizeof(claim->members));
            return true;
        }
        if (search.found > 1) {
            return false;
        }
    }
    return false;
}

/* An item in two claims belongs to none. */
static void settle_claims(struct matching *matching, const struct claim *claims, size_t count) {
    uint32_t *uses[SIDES];
    for (int s = 0; s < SIDES; s++) {
        uses[s] = memory_allocate(matching->sides[s].count, sizeof(uint32_t));
    }
    for (size_t i = 0; i < count; i++) {
        uses[claims[i].side][claims[i].target]++;
        for (size_t k = 0; k < claims[i].count; k++) {
            uses[1 - claims[i].side][claims[i].members[k]]++;
        }
    }
    for (size_t i = 0; i < count; i++) {
        const struct claim *claim = &claims[i];
        bool alone = uses[claim->side][claim->target] == 1;
        for (size_t k = 0; k < claim->count; k++) {
            alone = alone && uses[1 - claim->side][claim->members[k]] == 1;
        }
        if (alone) {
            const size_t group = matching_begin(matching, 3);
            matching_add(matching, group, claim->side, claim->target);
            for (size_t k = 0; k < claim->count; k++) {
                matching_add(matching, group, 1 - claim->side, claim->members[k]);
            }
        }
    }
    for (int s = 0; s < SIDES; s++) {
        free(uses[s]);
    }
}

void match_window_sums(struct matching *matching) {
    size_t *free_items[SIDES], counts[SIDES] = {0};
    for (int s = 0; s < SIDES; s++) {
        const struct side *side = &matching->sides[s];
        free_items[s] = memory_allocate(side->count, sizeof(size_t));
        for (size_t i = 0; i < side->count; i++) {
            if (is_free(matching, s, i)) {
                free_items[s][counts[s]++] = i;
            }
        }
    }
    const size_t targets = counts[LINES] + counts[ENTRIES];
    struct claim *claims = memory_allocate(targets, sizeof(*claims));
    size_t claim_count = 0;
    for (int s = 0; s < SIDES; s++) {
        for (size_t i = 0; i < counts[s]; i++) {
            claim_count += make_claim(matching, s, free_items[s][i], free_items[1 - s],
                                      counts[1 - s], targets, &claims[claim_count])
                               ? 1
                               : 0;
        }
    }
    settle_claims(matching, claims, claim_count);
    free(claims);
    free(free_items[LINES]);
    free(free_items[ENTRIES]);
}
