/*
 * Design: both sides are put into the order of their numbers first, so that nothing after it can
 * depend on how they came.  References are normalised and sorted: equal ones stand together.
 *
 * Pass 1 makes an edge between a line and an entry that share a reference and the amount.  An edge
 * whose both ends have no other edge is a match; then one whose both ends have no other edge within
 * the window; then, where one entry has several lines that have nothing else, the first of them:
 * the bank booked it twice, and the rest are its duplicates.  Repeated until nothing changes.
 *
 * Passes 2 and 3 are match_amounts.c and match_sums.c.
 */
#include "reports/statements/match.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "reports/statements/match_internal.h"
#include "service_kit/memory.h"

/* A reference that more items than this share is no reference ("RENT"). */
#define SHARERS_MAX 64

struct edge {
    size_t line, entry;
    bool near; /* within the window */
    bool dead;
};

struct edges {
    struct edge *all;
    size_t count, room;
    size_t *line_degree, *entry_degree;
};

/* ---- order ---- */

static int compare_items(const void *a, const void *b, void *context) {
    const struct match_item *items = context;
    const uint64_t x = items[*(const size_t *)a].order, y = items[*(const size_t *)b].order;
    assert(x != y || a == b);
    return x < y ? -1 : x > y ? 1 : 0;
}

static int compare_amounts(const void *a, const void *b, void *context) {
    const struct side *side = context;
    const size_t i = *(const size_t *)a, k = *(const size_t *)b;
    const struct match_item *x = side->items[i], *y = side->items[k];
    if (x->amount != y->amount) {
        return x->amount < y->amount ? -1 : 1;
    }
    if (x->on != y->on) {
        return x->on < y->on ? -1 : 1;
    }
    return i < k ? -1 : i > k ? 1 : 0;
}

static void prepare_side(struct side *side, struct match_side *from) {
    side->count = from->count;
    side->original = memory_allocate(from->count, sizeof(size_t));
    side->by_amount = memory_allocate(from->count, sizeof(size_t));
    side->items = memory_allocate(from->count, sizeof(const struct match_item *));
    side->outcomes = memory_allocate(from->count, sizeof(struct match_outcome *));
    side->matched = memory_allocate(from->count, sizeof(bool));
    side->named = memory_allocate(from->count, sizeof(bool));
    for (size_t i = 0; i < from->count; i++) {
        side->original[i] = side->by_amount[i] = i;
    }
    union {
        const struct match_item *items;
        void *context;
    } order = {.items = from->items};
    qsort_r(side->original, side->count, sizeof(size_t), compare_items, order.context);
    for (size_t i = 0; i < side->count; i++) {
        const struct match_item *item = &from->items[side->original[i]];
        side->items[i] = item;
        side->matched[i] = item->settled;
        side->outcomes[i] = &from->outcomes[side->original[i]];
        *side->outcomes[i] = (struct match_outcome){MATCH_MATCHED, MATCH_NONE, MATCH_NONE};
    }
    qsort_r(side->by_amount, side->count, sizeof(size_t), compare_amounts, side);
}

static void release_side(struct side *side) {
    free(side->original);
    free(side->by_amount);
    free(side->items);
    free(side->outcomes);
    free(side->matched);
    free(side->named);
}

int32_t matching_gap(const struct match_item *a, const struct match_item *b) {
    return a->on > b->on ? a->on - b->on : b->on - a->on;
}

/* ---- groups ---- */

size_t matching_begin(struct matching *matching, uint8_t pass) {
    if (matching->match_count == matching->match_room) {
        matching->match_room = matching->match_room == 0 ? 64 : matching->match_room * 2;
        matching->passes = memory_resize(matching->passes, matching->match_room);
    }
    matching->passes[matching->match_count] = pass;
    return matching->match_count++;
}

void matching_add(struct matching *matching, size_t group, int side, size_t index) {
    struct side *of = &matching->sides[side];
    assert(!of->matched[index]);
    of->matched[index] = true;
    of->outcomes[index]->group = group;
}

static void match_pair(struct matching *matching, uint8_t pass, size_t line, size_t entry) {
    const size_t group = matching_begin(matching, pass);
    matching_add(matching, group, LINES, line);
    matching_add(matching, group, ENTRIES, entry);
}

/* ---- references ---- */

/* Capitals; a UUID without its dashes, which do not fit the 35 characters of a bank. */
static char *normalise(const char *text) {
    const size_t length = strlen(text);
    char *copy = memory_allocate(length + 1, 1);
    const bool uuid =
        length == 36 && text[8] == '-' && text[13] == '-' && text[18] == '-' && text[23] == '-';
    size_t used = 0;
    for (size_t i = 0; i < length; i++) {
        if (!(uuid && text[i] == '-')) {
            copy[used] = text[i];
            if (text[i] >= 'a' && text[i] <= 'z') {
                copy[used] = (char)(text[i] - 'a' + 'A');
            }
            used++;
        }
    }
    return copy;
}

static int compare_references(const void *a, const void *b) {
    const struct reference *x = a, *y = b;
    const int order = strcmp(x->text, y->text);
    if (order != 0) {
        return order;
    }
    if (x->side != y->side) {
        return x->side < y->side ? -1 : 1;
    }
    return x->index < y->index ? -1 : x->index > y->index ? 1 : 0;
}

static void collect_references(struct matching *matching) {
    size_t room = 0;
    for (int s = 0; s < SIDES; s++) {
        for (size_t i = 0; i < matching->sides[s].count; i++) {
            room += matching->sides[s].items[i]->reference_count;
        }
    }
    matching->references = memory_allocate(room, sizeof(*matching->references));
    matching->groups = memory_allocate(room, sizeof(*matching->groups));
    for (int s = 0; s < SIDES; s++) {
        for (size_t i = 0; i < matching->sides[s].count; i++) {
            const struct match_item *item = matching->sides[s].items[i];
            assert(item->reference_count <= MATCH_REFERENCES_MAX);
            for (size_t k = 0; k < item->reference_count; k++) {
                matching->references[matching->reference_count++] =
                    (struct reference){normalise(item->references[k]), s, i};
            }
        }
    }
    qsort(matching->references, matching->reference_count, sizeof(*matching->references),
          compare_references);
}

static bool is_repeated(const struct reference *a, const struct reference *b) {
    return a->side == b->side && a->index == b->index && strcmp(a->text, b->text) == 0;
}

/* Drops an item's second mention of the same reference, then finds the runs that have both sides.
 */
static void group_references(struct matching *matching) {
    size_t kept = 0;
    for (size_t i = 0; i < matching->reference_count; i++) {
        if (kept > 0 && is_repeated(&matching->references[kept - 1], &matching->references[i])) {
            union {
                const char *text;
                void *memory;
            } old = {.text = matching->references[i].text};
            free(old.memory);
        } else {
            matching->references[kept++] = matching->references[i];
        }
    }
    matching->reference_count = kept;
    for (size_t first = 0; first < kept;) {
        struct reference_group group = {.first = first};
        size_t end = first;
        for (; end < kept &&
               strcmp(matching->references[end].text, matching->references[first].text) == 0;
             end++) {
            group.lines += matching->references[end].side == LINES ? 1 : 0;
            group.entries += matching->references[end].side == ENTRIES ? 1 : 0;
        }
        if (group.lines > 0 && group.entries > 0 && group.lines <= SHARERS_MAX &&
            group.entries <= SHARERS_MAX) {
            matching->groups[matching->group_count++] = group;
            for (size_t i = first; i < end; i++) {
                const struct reference *reference = &matching->references[i];
                matching->sides[reference->side].named[reference->index] = true;
            }
        }
        first = end;
    }
}

static void release_references(struct matching *matching) {
    for (size_t i = 0; i < matching->reference_count; i++) {
        union {
            const char *text;
            void *memory;
        } old = {.text = matching->references[i].text};
        free(old.memory);
    }
    free(matching->references);
    free(matching->groups);
}

/* ---- pass 1 ---- */

static void add_edge(struct edges *edges, size_t line, size_t entry, bool near) {
    if (edges->count == edges->room) {
        edges->room = edges->room == 0 ? 256 : edges->room * 2;
        edges->all = memory_resize(edges->all, edges->room * sizeof(*edges->all));
    }
    edges->all[edges->count++] = (struct edge){line, entry, near, false};
}

static int compare_edges(const void *a, const void *b) {
    const struct edge *x = a, *y = b;
    if (x->line != y->line) {
        return x->line < y->line ? -1 : 1;
    }
    return x->entry < y->entry ? -1 : x->entry > y->entry ? 1 : 0;
}

static void make_edges(struct matching *matching, struct edges *edges) {
    const struct side *lines = &matching->sides[LINES], *entries = &matching->sides[ENTRIES];
    for (size_t g = 0; g < matching->group_count; g++) {
        const struct reference_group *group = &matching->groups[g];
        const struct reference *first = &matching->references[group->first];
        for (size_t i = 0; i < group->lines; i++) {
            for (size_t k = 0; k < group->entries; k++) {
                const size_t line = first[i].index, entry = first[group->lines + k].index;
                const int32_t gap = matching_gap(lines->items[line], entries->items[entry]);
                if (!lines->matched[line] && !entries->matched[entry] &&
                    lines->items[line]->amount == entries->items[entry]->amount &&
                    gap <= matching->rules->reference_days) {
                    add_edge(edges, line, entry, gap <= matching->rules->window_days);
                }
            }
        }
    }
    if (edges->count > 0) {
        qsort(edges->all, edges->count, sizeof(*edges->all), compare_edges);
    }
    for (size_t i = 1; i < edges->count; i++) { /* two references may make the same edge */
        edges->all[i].dead = compare_edges(&edges->all[i - 1], &edges->all[i]) == 0;
    }
}

static void count_degrees(struct matching *matching, struct edges *edges, bool near) {
    const struct side *lines = &matching->sides[LINES], *entries = &matching->sides[ENTRIES];
    memset(edges->line_degree, 0, lines->count * sizeof(size_t));
    memset(edges->entry_degree, 0, entries->count * sizeof(size_t));
    for (size_t i = 0; i < edges->count; i++) {
        struct edge *edge = &edges->all[i];
        edge->dead |= lines->matched[edge->line] || entries->matched[edge->entry];
        if (!edge->dead && (edge->near || !near)) {
            edges->line_degree[edge->line]++;
            edges->entry_degree[edge->entry]++;
        }
    }
}

/* Matches the edges whose ends have no other one. */
static bool match_alone(struct matching *matching, struct edges *edges, bool near) {
    bool any = false;
    count_degrees(matching, edges, near);
    for (size_t i = 0; i < edges->count; i++) {
        const struct edge *edge = &edges->all[i];
        if (!edge->dead && (edge->near || !near) && edges->line_degree[edge->line] == 1 &&
            edges->entry_degree[edge->entry] == 1) {
            match_pair(matching, 1, edge->line, edge->entry);
            any = true;
        }
    }
    return any;
}

/* One entry, several lines that have only it: the first line is the payment. */
static bool match_first_of_several(struct matching *matching, struct edges *edges) {
    const struct side *lines = &matching->sides[LINES], *entries = &matching->sides[ENTRIES];
    size_t *first = memory_allocate(entries->count, sizeof(size_t));
    bool *mixed = memory_allocate(entries->count, sizeof(bool));
    bool any = false;
    count_degrees(matching, edges, false);
    for (size_t i = 0; i < entries->count; i++) {
        first[i] = MATCH_NONE;
    }
    for (size_t i = 0; i < edges->count; i++) {
        const struct edge *edge = &edges->all[i];
        if (edge->dead) {
            continue;
        }
        mixed[edge->entry] |= edges->line_degree[edge->line] > 1;
        size_t *best = &first[edge->entry];
        if (*best == MATCH_NONE || lines->items[edge->line]->on < lines->items[*best]->on) {
            *best = edge->line; /* edges are in the order of lines: the lowest number wins a tie */
        }
    }
    for (size_t i = 0; i < entries->count; i++) {
        if (first[i] != MATCH_NONE && !mixed[i]) {
            match_pair(matching, 1, first[i], i);
            any = true;
        }
    }
    free(first);
    free(mixed);
    return any;
}

static void match_references(struct matching *matching) {
    struct edges edges = {
        .line_degree = memory_allocate(matching->sides[LINES].count, sizeof(size_t)),
        .entry_degree = memory_allocate(matching->sides[ENTRIES].count, sizeof(size_t))};
    make_edges(matching, &edges);
    while (match_alone(matching, &edges, false) || match_alone(matching, &edges, true) ||
           match_first_of_several(matching, &edges)) {
    }
    free(edges.all);
    free(edges.line_degree);
    free(edges.entry_degree);
}

/* ---- what is left ---- */

/* How much a category tells: the strongest that a reference gives is kept. */
static int strength(enum match_category category) {
    switch (category) {
    case MATCH_DUPLICATE:
        return 4;
    case MATCH_AMBIGUOUS:
        return 3;
    case MATCH_DATE_MISMATCH:
        return 2;
    case MATCH_AMOUNT_MISMATCH:
        return 1;
    case MATCH_MATCHED:
    case MATCH_MISSING:
    case MATCH_REVERSAL_UNPAIRED:
        break;
    }
    return 0;
}

static void suggest(struct matching *matching, int side, size_t index, enum match_category category,
                    size_t other) {
    struct match_outcome *outcome = matching->sides[side].outcomes[index];
    if (strength(category) > strength(outcome->category)) {
        outcome->category = category;
        outcome->counterpart = matching->sides[1 - side].original[other];
    }
}

/* What sharing a reference with `other` says about an unmatched item. */
static void classify_pair(struct matching *matching, int side, size_t index, size_t other) {
    const struct side *of = &matching->sides[side], *others = &matching->sides[1 - side];
    if (of->matched[index]) {
        return;
    }
    const struct match_item *a = of->items[index], *b = others->items[other];
    if (others->matched[other]) {
        if (a->amount == b->amount) {
            suggest(matching, side, index, MATCH_DUPLICATE, other);
        }
    } else if (a->amount != b->amount) {
        suggest(matching, side, index, MATCH_AMOUNT_MISMATCH, other);
    } else if (matching_gap(a, b) > matching->rules->reference_days) {
        suggest(matching, side, index, MATCH_DATE_MISMATCH, other);
    } else {
        suggest(matching, side, index, MATCH_AMBIGUOUS, other);
    }
}

static void classify_by_amount(struct matching *matching, int side, size_t index) {
    const struct side *of = &matching->sides[side], *others = &matching->sides[1 - side];
    const struct match_item *item = of->items[index];
    struct neighbours near = matching_neighbours(others, item, matching->rules->window_days);
    if (near.unmatched > 0) {
        suggest(matching, side, index, MATCH_AMBIGUOUS, near.one);
        return;
    }
    near = matching_neighbours(others, item, matching->rules->reference_days);
    if (near.count == 1 && near.unmatched == 1 && !others->named[near.one]) {
        suggest(matching, side, index, MATCH_DATE_MISMATCH, near.one);
    }
}

static void classify(struct matching *matching) {
    for (int s = 0; s < SIDES; s++) {
        const struct side *side = &matching->sides[s];
        for (size_t i = 0; i < side->count; i++) {
            if (!side->matched[i]) {
                side->outcomes[i]->category = MATCH_MISSING;
            }
        }
    }
    for (size_t g = 0; g < matching->group_count; g++) {
        const struct reference_group *group = &matching->groups[g];
        const struct reference *first = &matching->references[group->first];
        for (size_t i = 0; i < group->lines; i++) {
            for (size_t k = 0; k < group->entries; k++) {
                const size_t line = first[i].index, entry = first[group->lines + k].index;
                classify_pair(matching, LINES, line, entry);
                classify_pair(matching, ENTRIES, entry, line);
            }
        }
    }
    for (int s = 0; s < SIDES; s++) {
        const struct side *side = &matching->sides[s];
        for (size_t i = 0; i < side->count; i++) {
            if (side->matched[i]) {
                continue;
            }
            if (!side->named[i]) {
                classify_by_amount(matching, s, i);
            }
            if (side->items[i]->reversal) {
                side->outcomes[i]->category = MATCH_REVERSAL_UNPAIRED;
            }
        }
    }
}

size_t match_run(struct match_side *lines, struct match_side *entries,
                 const struct match_rules *rules, uint8_t **passes) {
    struct matching matching = {.rules = rules};
    assert(rules->window_days >= 0 && rules->window_days <= rules->reference_days);
    assert(rules->subset_max >= 0 && rules->subset_max <= MATCH_SUBSET_MAX);
    prepare_side(&matching.sides[LINES], lines);
    prepare_side(&matching.sides[ENTRIES], entries);
    collect_references(&matching);
    group_references(&matching);
    match_references(&matching);
    match_amounts(&matching);
    if (rules->subset_max >= 2) {
        match_reference_sums(&matching);
        match_window_sums(&matching);
    }
    classify(&matching);
    release_references(&matching);
    release_side(&matching.sides[LINES]);
    release_side(&matching.sides[ENTRIES]);
    *passes = matching.passes;
    return matching.match_count;
}
