/* What the files of the matcher share: match.c (references and amounts), match_sums.c (sums). */
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

struct matching {
    struct side sides[SIDES];
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

/* Whether the other side has anything unmatched of the same amount within the window. */
bool matching_has_equal(const struct matching *matching, int side, size_t index);

/* Pass 3, after passes 1 and 2. */
void match_reference_sums(struct matching *matching);
void match_window_sums(struct matching *matching);

#endif
