/*
 * Pass 2: the same amount near the same day.
 *
 * Design: that nothing else of the amount is near, matched or not, is the evidence, and a popular
 * amount gives none, even where it happens to be alone.  An item that shares a reference with the
 * other side is left out: it says itself what it belongs to.  What speaks against a pair leaves it
 * to a person:
 *
 *   - the line has a reference of the form that one of the entry's has, and another text: it names
 *     something else of that kind;
 *   - one of the two, with another item of its side, makes an amount of the other side, and neither
 *     of those has an equal: then it is a part of a sum as well as a pair;
 *   - the account's own habits: where pass 1 has found many pairs, none or hardly one of them so
 *     many days apart.
 *
 * All pairs are found before the first is made, so that none depends on another.
 */
#include <stdlib.h>
#include <string.h>

#include "reports/statements/match_internal.h"
#include "service_kit/memory.h"

#define POPULAR_MIN    4   /* so many of one amount on one side, within reference_days */
#define HABIT_MIN      100 /* pairs that make a habit */
#define HABIT_FRACTION 100 /* a gap that one pair in so many has is usual */

struct pair {
    size_t line, entry;
};

/* ---- neighbours ---- */

/* Where the first item of `amount` on or after `day` stands in by_amount. */
static size_t lower_bound(const struct side *side, money_minor amount, int64_t day) {
    size_t low = 0, high = side->count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const struct match_item *item = side->items[side->by_amount[middle]];
        if (item->amount < amount || (item->amount == amount && item->on < day)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* How many there are, matched or not: without looking at each. */
static size_t count_neighbours(const struct side *side, const struct match_item *item, int days) {
    return lower_bound(side, item->amount, (int64_t)item->on + days + 1) -
           lower_bound(side, item->amount, (int64_t)item->on - days);
}

struct neighbours matching_neighbours(const struct side *side, const struct match_item *item,
                                      int days) {
    struct neighbours found = {.one = MATCH_NONE};
    const size_t start = lower_bound(side, item->amount, (int64_t)item->on - days);
    const size_t end = lower_bound(side, item->amount, (int64_t)item->on + days + 1);
    found.count = end - start;
    for (size_t i = start; i < end; i++) {
        const size_t index = side->by_amount[i];
        if (!side->matched[index]) {
            found.unmatched++;
            found.one = index;
        }
    }
    if (found.one == MATCH_NONE && found.count > 0) {
        found.one = side->by_amount[start];
    }
    return found;
}

bool matching_has_equal(const struct matching *matching, int side, size_t index) {
    const struct match_item *item = matching->sides[side].items[index];
    return matching_neighbours(&matching->sides[1 - side], item, matching->rules->window_days)
               .unmatched > 0;
}

bool matching_is_popular(const struct matching *matching, const struct match_item *item) {
    const int days = matching->rules->reference_days;
    return count_neighbours(&matching->sides[LINES], item, days) >= POPULAR_MIN ||
           count_neighbours(&matching->sides[ENTRIES], item, days) >= POPULAR_MIN;
}

/* ---- what speaks against a pair ---- */

static bool is_alphanumeric(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* As long, with every character that is no letter and no digit in its place. */
static bool same_form(const char *a, const char *b) {
    for (; *a != '\0' && *b != '\0'; a++, b++) {
        if (is_alphanumeric(*a) != is_alphanumeric(*b) || (!is_alphanumeric(*a) && *a != *b)) {
            return false;
        }
    }
    return *a == *b;
}

/* The two share no reference, or pass 1 would have seen it. */
static bool names_another(const struct match_item *line, const struct match_item *entry) {
    for (size_t i = 0; i < line->reference_count; i++) {
        for (size_t k = 0; k < entry->reference_count; k++) {
            if (same_form(line->references[i], entry->references[k])) {
                return true;
            }
        }
    }
    return false;
}

static bool is_open(const struct side *side, size_t index) {
    return !side->matched[index] && !side->named[index] && !side->items[index]->reversal;
}

/* The items of each side that are open, and without an equal on the other. */
struct lonely {
    bool *is[SIDES];
    size_t *items[SIDES];
    size_t count[SIDES];
};

static void find_lonely(const struct matching *matching, struct lonely *lonely) {
    for (int s = 0; s < SIDES; s++) {
        const struct side *side = &matching->sides[s];
        lonely->is[s] = memory_allocate(side->count, sizeof(bool));
        lonely->items[s] = memory_allocate(side->count, sizeof(size_t));
        lonely->count[s] = 0;
        for (size_t i = 0; i < side->count; i++) {
            lonely->is[s][i] = is_open(side, i) && !matching_has_equal(matching, s, i);
            if (lonely->is[s][i]) {
                lonely->items[s][lonely->count[s]++] = i;
            }
        }
    }
}

static void release_lonely(struct lonely *lonely) {
    for (int s = 0; s < SIDES; s++) {
        free(lonely->is[s]);
        free(lonely->items[s]);
    }
}

/* Is there a lonely item of that amount and about that day? */
static bool has_lonely(const struct side *side, const bool *is_lonely,
                       const struct match_item *wanted, int days) {
    const size_t end = lower_bound(side, wanted->amount, (int64_t)wanted->on + days + 1);
    for (size_t i = lower_bound(side, wanted->amount, (int64_t)wanted->on - days); i < end; i++) {
        if (is_lonely[side->by_amount[i]]) {
            return true;
        }
    }
    return false;
}

/* Does it make, with one more of its side, something of the other, both of which nothing else
 * explains? */
static bool is_part(const struct matching *matching, const struct lonely *lonely, int of,
                    size_t index) {
    const struct side *others = &matching->sides[1 - of];
    const struct match_item *item = matching->sides[of].items[index];
    const int days = matching->rules->window_days;
    for (size_t i = 0; i < lonely->count[1 - of]; i++) {
        const struct match_item *whole = others->items[lonely->items[1 - of][i]];
        struct match_item rest = {.on = whole->on};
        if (matching_gap(item, whole) <= days &&
            money_subtract(whole->amount, item->amount, &rest.amount) && rest.amount != 0 &&
            (rest.amount < 0) == (item->amount < 0) &&
            has_lonely(&matching->sides[of], lonely->is[of], &rest, days)) {
            return true;
        }
    }
    return false;
}

static void learn_habits(struct matching *matching) {
    struct habits *habits = &matching->habits;
    const struct side *lines = &matching->sides[LINES], *entries = &matching->sides[ENTRIES];
    size_t *line_of = memory_allocate(matching->match_count, sizeof(size_t));
    for (size_t i = 0; i < lines->count; i++) {
        if (lines->matched[i] && lines->outcomes[i]->group != MATCH_NONE) {
            line_of[lines->outcomes[i]->group] = i;
        }
    }
    for (size_t i = 0; i < entries->count; i++) {
        if (!entries->matched[i] || entries->outcomes[i]->group == MATCH_NONE) {
            continue;
        }
        const struct match_item *line = lines->items[line_of[entries->outcomes[i]->group]];
        if (matching_gap(line, entries->items[i]) <= MATCH_WINDOW_MAX) {
            habits->gaps[line->on - entries->items[i]->on + MATCH_WINDOW_MAX]++;
            habits->pairs++;
        }
    }
    free(line_of);
}

bool matching_contradicts(const struct matching *matching, size_t line, size_t entry) {
    const struct match_item *a = matching->sides[LINES].items[line],
                            *b = matching->sides[ENTRIES].items[entry];
    const struct habits *habits = &matching->habits;
    const bool usual =
        habits->pairs < HABIT_MIN ||
        habits->gaps[a->on - b->on + MATCH_WINDOW_MAX] * HABIT_FRACTION >= habits->pairs;
    return !usual || names_another(a, b);
}

/* ---- pairs ---- */

/* The only entry that the line can be, which can be no other line; MATCH_NONE: there is none. */
static size_t find_entry(const struct matching *matching, size_t line) {
    const struct side *lines = &matching->sides[LINES], *entries = &matching->sides[ENTRIES];
    const int days = matching->rules->window_days;
    if (!is_open(lines, line) || matching_is_popular(matching, lines->items[line])) {
        return MATCH_NONE;
    }
    const struct neighbours theirs = matching_neighbours(entries, lines->items[line], days);
    if (theirs.count != 1 || matching_neighbours(lines, lines->items[line], days).count != 1 ||
        entries->matched[theirs.one] || entries->named[theirs.one]) {
        return MATCH_NONE;
    }
    const struct match_item *entry = entries->items[theirs.one];
    return matching_neighbours(lines, entry, days).count == 1 &&
                   matching_neighbours(entries, entry, days).count == 1
               ? theirs.one
               : MATCH_NONE;
}

void match_amounts(struct matching *matching) {
    const struct side *lines = &matching->sides[LINES];
    struct pair *pairs = memory_allocate(lines->count, sizeof(*pairs));
    struct lonely lonely;
    size_t count = 0;
    learn_habits(matching);
    find_lonely(matching, &lonely);
    for (size_t i = 0; i < lines->count; i++) {
        const size_t entry = find_entry(matching, i);
        if (entry != MATCH_NONE && !matching_contradicts(matching, i, entry) &&
            !is_part(matching, &lonely, LINES, i) && !is_part(matching, &lonely, ENTRIES, entry)) {
            pairs[count++] = (struct pair){i, entry};
        }
    }
    for (size_t i = 0; i < count; i++) {
        const size_t group = matching_begin(matching, 2);
        matching_add(matching, group, LINES, pairs[i].line);
        matching_add(matching, group, ENTRIES, pairs[i].entry);
    }
    free(pairs);
    release_lonely(&lonely);
}
