/* What the files of the matcher share: match.c (references, and what is left), match_amounts.c,
 * match_sums.c. */
#ifndef PACIOLI_STATEMENTS_MATCH_INTERNAL_H
#define PACIOLI_STATEMENTS_MATCH_INTERNAL_H

#include "reports/statements/match.h"

enum { LINES, ENTRIES, SIDES };

/* One side, in the order of the items' numbers. */
struct side {
    const struct match_item **items;
    struct match_outcome **outcomes;
    size_t *original; /* index in the caller's array */
    size_t count;
    bool *matched;     /* settled, or in a group */
    bool *named;       /* shares a reference with something on the other side */
    size_t *by_amount; /* indices in the order of amount, day, number */
};

/* One reference of one item. */
struct reference {
    const char *text; /* normalised */
    int side;
    size_t index;
};

/* A run of equal references: references[first..first+count), lines before entries. */
struct reference_group {
    size_t first, lines, entries;
};

#define MATCH_WINDOW_MAX 31

/* How many days the account's lines are behind its entries, as pass 1 has found it. */
struct habits {
    size_t pairs;
    size_t gaps[2 * MATCH_WINDOW_MAX + 1]; /* line's day - entry's day + MATCH_WINDOW_MAX */
};

struct matching {
    struct side sides[SIDES];
    struct habits habits;
    const struct match_rules *rules;
    struct reference *references;
    size_t reference_count;
    struct reference_group *groups;
    size_t group_count;
    uint8_t *passes;
    size_t match_count, match_room;
};

/* Puts items into a new group; returns its number. */
size_t matching_begin(struct matching *matching, uint8_t pass);
void matching_add(struct matching *matching, size_t group, int side, size_t index);
int32_t matching_gap(const struct match_item *a, const struct match_item *b);

struct neighbours {
    size_t count, unmatched;
    size_t one; /* one of the unmatched, or else of all */
};
/* The items of a side that have the amount of `item`, within `days` of it. */
struct neighbours matching_neighbours(const struct side *side, const struct match_item *item,
                                      int days);
/* Whether the other side has anything unmatched of the same amount within the window. */
bool matching_has_equal(const struct matching *matching, int side, size_t index);

/* An amount that is met so often says little about what it belongs to. */
bool matching_is_popular(const struct matching *matching, const struct match_item *item);
/* Does anything but their amounts speak against the two being the same money? */
bool matching_contradicts(const struct matching *matching, size_t line, size_t entry);

/* Pass 2, after pass 1. */
void match_amounts(struct matching *matching);
/* Pass 3, after passes 1 and 2. */
void match_reference_sums(struct matching *matching);
void match_window_sums(struct matching *matching);

#endif
