/*
 * posting against tests/model/posting_reference: random commands in random batches.
 *
 * Episodes are short and begin with a few fresh accounts in one of several nasty states, so that
 * limits, floors and repeated keys are met all the time.  The engine gets the commands in batches,
 * with the accounts of a batch alone, in random order, and with the priors that the journal of its
 * own earlier batches gives, as the caller on a database would; the reference gets the same
 * commands one by one.  Every outcome, result, entry and snapshot must be the same.
 *
 * PACIOLI_SEED (printed) and PACIOLI_COMMANDS (1,000,000) choose another run.
 */
#include "ledger_core/engine/posting.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/model/posting_reference.h"
#include "tests/model/random.h"

#define EPISODE_COMMANDS 200 /* an episode ends with the batch that reaches this */
#define BATCH_MAX        300
#define PRINCIPALS       3
#define KEYS_MAX         5000
#define KEYS_NESTED      POSTING_KEY_MAX

/* A request as a client could send it again. */
struct request {
    enum posting_kind kind;
    uint32_t principal, own, other;
    struct money_decimal amount;
    uint32_t key;
    bool too_early;
};

/* The engine's side of an episode: what a database would hold. */
struct journal_row {
    struct posting_command command; /* an accepted one */
    money_minor own_balance_after;
};

struct episode {
    uint64_t seed;
    struct test_random random;
    uint32_t keys, max_units;
    bool calm; /* ordinary accounts with money: most commands are accepted */
    bool huge_amounts;
    struct posting_account accounts[REFERENCE_ACCOUNTS_MAX];
    uint32_t account_count;
    struct request requests[EPISODE_COMMANDS + BATCH_MAX];
    size_t request_count;
    uint32_t last_group;
    struct journal_row journal[EPISODE_COMMANDS + BATCH_MAX];
    size_t journal_count;
    size_t batch_count;
};

static struct reference_state reference;
static uint64_t outcome_counts[POSTING_OUTCOME_COUNT];
static uint64_t group_commands, repeated_commands, accepted_in_groups;
static uint64_t batches_free_of_order, batches_in_order;

/* ---- Accounts and requests ------------------------------------------------------------------ */

static struct ledger_uuid make_uuid(uint64_t high, uint64_t low) {
    struct ledger_uuid uuid;
    memcpy(uuid.bytes, &high, sizeof(high));
    memcpy(uuid.bytes + sizeof(high), &low, sizeof(low));
    return uuid;
}

/* Principals differ in their last byte alone. */
static struct ledger_uuid principal_uuid(uint32_t principal) {
    struct ledger_uuid uuid = {.bytes = {0xaa, 0xbb}};
    uuid.bytes[15] = (uint8_t)principal;
    return uuid;
}

/* A limit or a small number, either sign. */
static money_minor nasty_amount(struct test_random *random) {
    money_minor amount = random_below(random, 12);
    if (random_percent(random, 30)) {
        amount = MONEY_MINOR_MAX - random_below(random, 12);
    } else if (random_percent(random, 10)) {
        amount = MONEY_MINOR_MAX / 2 + random_below(random, 3);
    }
    return random_percent(random, 50) ? amount : -amount;
}

static void make_account(struct episode *episode, uint32_t index) {
    struct test_random *random = &episode->random;
    struct posting_account *account = &episode->accounts[index];
    *account = (struct posting_account){
        .id = make_uuid(random_next(random), index),
        .class = POSTING_LIABILITY,
        .decimals = 2,
        .asset = "RUB",
        .has_floor = true,
    };
    if (index == 0) { /* the settlement account */
        account->class = POSTING_ASSET;
        account->has_floor = random_percent(random, 10);
    } else {
        account->has_owner = random_percent(random, 95);
        account->owner = principal_uuid(random_below(random, random_percent(random, 80) ? 1 : 3));
    }
    account->posted = -(money_minor)random_below(random, 2000);
    account->entries = random_below(random, 100);
    if (episode->calm) {
        account->posted = index == 0 ? 0 : -(money_minor)1000000;
        account->owner = principal_uuid(0);
        return;
    }
    if (random_percent(random, 6)) {
        account->class = (enum posting_class)random_below(random, POSTING_EXPENSE + 1);
    }
    if (random_percent(random, 10)) {
        account->status = random_percent(random, 65) ? POSTING_FROZEN : POSTING_CLOSED;
    }
    if (random_percent(random, 6)) {
        snprintf(account->asset, sizeof(account->asset), "%s",
                 random_percent(random, 50) ? "RUC" : "RUBX");
        account->decimals = (uint8_t)random_below(random, 4);
    } else if (random_percent(random, 2)) {
        account->decimals = MONEY_DECIMALS_MAX;
    }
    if (random_percent(random, 10)) {
        account->has_floor = !account->has_floor;
    }
    if (random_percent(random, 15)) {
        account->floor = nasty_amount(random);
    }
    if (random_percent(random, 10)) {
        const money_minor held = nasty_amount(random);
        account->held = held < 0 ? -held : held;
    }
    if (random_percent(random, 15)) {
        account->posted = nasty_amount(random);
    }
    if (random_percent(random, 3)) {
        account->entries = INT64_MAX - random_below(random, 6);
    }
}

/* What the account has left above its floor: the edge of "insufficient". */
static money_minor room_of(const struct episode *episode, uint32_t index) {
    if (index >= episode->account_count) {
        return 0;
    }
    const struct posting_account *account = &episode->accounts[index];
    const money_minor available = posting_available(account);
    if (available <= account->floor || available > MONEY_MINOR_MAX / 4) {
        return 0;
    }
    return available - account->floor;
}

static struct money_decimal make_amount(struct episode *episode, uint32_t own) {
    struct test_random *random = &episode->random;
    struct money_decimal amount = {.coefficient = random_below(random, episode->max_units),
                                   .decimals = (uint8_t)random_below(random, 3)};
    if (random_percent(random, 3)) {
        amount.decimals = 3;
    } else if (random_percent(random, 12)) {
        amount.coefficient = room_of(episode, own) + random_below(random, 3);
        amount.decimals = own < episode->account_count ? episode->accounts[own].decimals : 0;
        amount.coefficient -= amount.coefficient > 0;
    } else if (episode->huge_amounts && random_percent(random, 40)) {
        const money_minor huge = nasty_amount(random);
        amount.coefficient = huge < 0 ? -huge : huge;
        amount.decimals = (uint8_t)(2 * random_below(random, 2));
    }
    return amount;
}

static struct request make_request(struct episode *episode) {
    struct test_random *random = &episode->random;
    if (episode->request_count > 0 && random_percent(random, 20)) {
        const uint32_t number = random_below(random, (uint32_t)episode->request_count);
        struct request again = episode->requests[number];
        if (random_percent(random, 25)) {
            again.amount.coefficient++;
        } else if (random_percent(random, 30)) {
            /* The same value, written otherwise. */
            again.amount = money_canonical(again.amount);
        }
        repeated_commands++;
        return again;
    }
    const uint32_t accounts = episode->account_count;
    struct request request = {
        .kind = (enum posting_kind)random_below(random, POSTING_TRANSFER + 1),
        .own = 1 + random_below(random, accounts - 1),
        .other = 0,
        .key = random_below(random, episode->keys),
    };
    if (request.kind == POSTING_TRANSFER) {
        request.other = (request.own + 1 + random_below(random, accounts - 1)) % accounts;
    }
    if (!episode->calm && random_percent(random, 20)) {
        request.principal = random_below(random, PRINCIPALS);
        request.own = random_percent(random, 20) ? 0 : request.own;
        request.other = random_percent(random, 40) ? random_below(random, accounts) : request.other;
        request.own = random_percent(random, 10) ? POSTING_NO_ACCOUNT : request.own;
        request.other = random_percent(random, 10) ? POSTING_NO_ACCOUNT : request.other;
    }
    request.too_early = !episode->calm && random_percent(random, 10);
    request.amount = make_amount(episode, request.own);
    return request;
}

/* The key of a number: those below KEYS_NESTED are each other's beginnings, the others vary. */
static void write_key(struct posting_command *command, uint32_t key) {
    char number[16];
    const size_t digits = (size_t)snprintf(number, sizeof(number), "%u", key);
    if (key < KEYS_NESTED) {
        memset(command->key, 'k', key + 1);
        command->key_length = (uint8_t)(key + 1);
        return;
    }
    const size_t before = (key * 37) % (POSTING_KEY_MAX - digits + 1);
    memset(command->key, 'k', before);
    memcpy(command->key + before, number, digits + 1);
    command->key_length = (uint8_t)(before + digits);
}

/* Of the canonical request; only its last eight bytes tell requests apart. */
static void write_digest(struct posting_command *command, const struct request *request) {
    const struct money_decimal amount = money_canonical(request->amount);
    const uint64_t fields[] = {
        request->kind,
        request->own,
        request->kind == POSTING_TRANSFER ? request->other : 0,
        (uint64_t)amount.coefficient,
        (uint64_t)(amount.coefficient >> 64),
        amount.decimals,
    };
    struct test_random hash = {7};
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        hash.state = random_next(&hash) ^ fields[i];
    }
    const uint64_t word = random_next(&hash);
    memcpy(command->digest + POSTING_DIGEST_SIZE - sizeof(word), &word, sizeof(word));
}

static void make_batch(struct episode *episode, struct posting_command *commands, size_t count) {
    struct test_random *random = &episode->random;
    uint32_t group = 0, group_left = 0;
    for (size_t i = 0; i < count; i++) {
        const struct request request = make_request(episode);
        episode->requests[episode->request_count++] = request;
        struct posting_command *command = &commands[i];
        *command = (struct posting_command){
            .kind = request.kind,
            .principal = principal_uuid(request.principal),
            .transaction_id = make_uuid(episode->request_count, random_next(random)),
            .amount = request.amount,
            .too_early = request.too_early,
            .own = request.own,
            .other = request.other,
        };
        write_key(command, request.key);
        write_digest(command, &request);
        if (group_left == 0 && random_percent(random, 12)) {
            group_left = 1 + random_below(random, 6);
            /* Another number than the neighbour's, even when that one is in the last batch. */
            group = 1 + (episode->last_group + random_below(random, 2)) % 3;
        } else if (group_left == 0) {
            group = 0;
        }
        if (group_left > 0) {
            group_left--;
            group_commands++;
        }
        command->group = group;
        episode->last_group = group;
    }
}

/* ---- The engine on a pretended database ----------------------------------------------------- */

/* One batch as the engine sees it. */
struct run {
    struct posting_command *commands;
    size_t count;
    struct posting_account *accounts; /* those that are named, in random order */
    uint32_t account_count;
    uint32_t original[REFERENCE_ACCOUNTS_MAX]; /* of accounts[i]: its index in the episode */
    uint32_t placed[REFERENCE_ACCOUNTS_MAX];   /* the other way */
    struct posting_prior *priors;
    struct posting_entry *entries;
    size_t entry_count;
};

static void name_account(struct episode *episode, struct run *run, uint32_t index) {
    if (index == POSTING_NO_ACCOUNT || run->placed[index] != POSTING_NO_ACCOUNT) {
        return;
    }
    const uint32_t place = random_below(&episode->random, run->account_count + 1);
    for (uint32_t i = run->account_count; i > place; i--) {
        run->original[i] = run->original[i - 1];
        run->placed[run->original[i]] = i;
    }
    run->original[place] = index;
    run->placed[index] = place;
    run->account_count++;
}

static const struct posting_prior *find_prior(const struct episode *episode,
                                              const struct posting_command *command,
                                              struct posting_prior *prior) {
    for (size_t i = 0; i < episode->journal_count; i++) {
        const struct posting_command *past = &episode->journal[i].command;
        if (strcmp(past->key, command->key) == 0 &&
            memcmp(&past->principal, &command->principal, sizeof(past->principal)) == 0) {
            prior->transaction_id = past->transaction_id;
            memcpy(prior->digest, past->digest, sizeof(prior->digest));
            /* An account's index in past is already the episode's. */
            prior->has_balance = past->own == command->own;
            prior->balance_after = episode->journal[i].own_balance_after;
            return prior;
        }
    }
    return NULL;
}

static void *allocate(size_t count, size_t size) {
    void *memory = malloc(count * size + (count == 0));
    if (memory == NULL) {
        abort();
    }
    memset(memory, 0xdd, count * size);
    return memory;
}

/* The batch, with exact room for everything and rubbish where results will stand. */
static struct run prepare_run(struct episode *episode, const struct posting_command *commands,
                              size_t count) {
    struct run run = {.count = count};
    memset(run.placed, 0xff, sizeof(run.placed));
    for (size_t i = 0; i < count; i++) {
        name_account(episode, &run, commands[i].own);
        name_account(episode, &run, commands[i].other);
    }
    run.accounts = allocate(run.account_count, sizeof(run.accounts[0]));
    for (uint32_t i = 0; i < run.account_count; i++) {
        run.accounts[i] = episode->accounts[run.original[i]];
        run.accounts[i].touched = random_percent(&episode->random, 50);
    }
    run.commands = allocate(count, sizeof(run.commands[0]));
    run.priors = allocate(count, sizeof(run.priors[0]));
    run.entries = allocate(POSTING_ENTRIES_PER_COMMAND * count, sizeof(run.entries[0]));
    for (size_t i = 0; i < count; i++) {
        struct posting_command *command = &run.commands[i];
        *command = commands[i];
        command->prior = find_prior(episode, command, &run.priors[i]);
        if (command->own != POSTING_NO_ACCOUNT) {
            command->own = run.placed[command->own];
        }
        if (command->other != POSTING_NO_ACCOUNT) {
            command->other = run.placed[command->other];
        }
        command->outcome = POSTING_ACCEPTED;
        command->has_balance = true;
        command->balance_after = 4711;
        memset(&command->result_transaction_id, 0xdd, sizeof(command->result_transaction_id));
    }
    return run;
}

static void finish_run(struct episode *episode, const struct posting_command *commands,
                       struct run *run) {
    for (uint32_t i = 0; i < run->account_count; i++) {
        episode->accounts[run->original[i]] = run->accounts[i];
        episode->accounts[run->original[i]].touched = false;
    }
    for (size_t i = 0; i < run->count; i++) {
        if (run->commands[i].outcome == POSTING_ACCEPTED) {
            struct journal_row *row = &episode->journal[episode->journal_count++];
            row->command = commands[i];
            row->own_balance_after = run->commands[i].balance_after;
        }
    }
    free(run->accounts);
    free(run->commands);
    free(run->priors);
    free(run->entries);
}

/* ---- Comparing ------------------------------------------------------------------------------ */

static _Noreturn void differ(const struct episode *episode, size_t position, const char *what,
                             const char *seen, const char *expected) {
    ck_abort_msg("%s: %s, not %s (batch %zu, position %zu); run again with PACIOLI_SEED=%llu "
                 "PACIOLI_COMMANDS=1",
                 what, seen, expected, episode->batch_count, position,
                 (unsigned long long)episode->seed);
}

static void same_number(const struct episode *episode, size_t position, const char *what,
                        money_minor seen, money_minor expected) {
    if (seen != expected) {
        char texts[2][MONEY_TEXT_MAX];
        money_format(seen, 0, texts[0]);
        money_format(expected, 0, texts[1]);
        differ(episode, position, what, texts[0], texts[1]);
    }
}

static void compare_answer(const struct episode *episode, size_t position,
                           const struct posting_command *command,
                           const struct reference_answer *answer) {
    if (command->outcome != answer->outcome) {
        differ(episode, position, "outcome", posting_outcome_name(command->outcome),
               posting_outcome_name(answer->outcome));
    }
    if (memcmp(&command->result_transaction_id, &answer->transaction_id,
               sizeof(answer->transaction_id)) != 0) {
        differ(episode, position, "result_transaction_id", "another", "the reference's");
    }
    same_number(episode, position, "has_balance", command->has_balance, answer->has_balance);
    same_number(episode, position, "balance_after", command->balance_after, answer->balance_after);
    outcome_counts[command->outcome]++;
    /* Neighbours of one group that are both accepted. */
    if (position > 0 && command->group != 0 && command->group == command[-1].group &&
        command->outcome == POSTING_ACCEPTED && command[-1].outcome == POSTING_ACCEPTED) {
        accepted_in_groups++;
    }
}

static void compare_entry(const struct episode *episode, const struct run *run, size_t number,
                          const struct reference_entry *expected, bool first) {
    const struct posting_entry *entry = &run->entries[number];
    same_number(episode, entry->command, "entry's account", run->original[entry->account],
                expected->account);
    same_number(episode, entry->command, "entry's seq", entry->seq, expected->seq);
    same_number(episode, entry->command, "entry's amount", entry->amount, expected->amount);
    same_number(episode, entry->command, "entry's balance_after", entry->balance_after,
                expected->balance_after);
    same_number(episode, entry->command, "entry's first", entry->first, first);
}

static void compare_entries(const struct episode *episode, const struct run *run,
                            size_t first_transaction) {
    bool touched[REFERENCE_ACCOUNTS_MAX] = {false};
    size_t number = 0, transaction = first_transaction;
    for (size_t i = 0; i < run->count; i++) {
        if (run->commands[i].outcome != POSTING_ACCEPTED) {
            continue;
        }
        const struct reference_transaction *made = &reference.transactions[transaction++];
        const struct reference_entry *both[] = {&made->own, &made->other};
        for (size_t leg = 0; leg < 2; leg++, number++) {
            if (number >= run->entry_count || run->entries[number].command != i) {
                differ(episode, i, "entries", "missing", "two");
            }
            bool *seen = &touched[both[leg]->account];
            compare_entry(episode, run, number, both[leg], !*seen);
            *seen = true;
        }
    }
    same_number(episode, 0, "number of entries", (money_minor)run->entry_count,
                (money_minor)number);
    same_number(episode, 0, "number of transactions", (money_minor)transaction,
                (money_minor)reference.transaction_count);
    for (uint32_t i = 0; i < run->account_count; i++) {
        const struct posting_account *account = &run->accounts[i];
        const struct posting_account *expected = &reference.accounts[run->original[i]];
        same_number(episode, i, "posted", account->posted, expected->posted);
        same_number(episode, i, "entries of an account", account->entries, expected->entries);
        same_number(episode, i, "held", account->held, expected->held);
        same_number(episode, i, "touched", account->touched, touched[run->original[i]]);
    }
}

/* Some of the accepted commands, in random order, on the accounts as they were: all accepted? */
static void check_order_free(struct episode *episode, const struct run *run, uint32_t *index) {
    struct posting_span spans[REFERENCE_ACCOUNTS_MAX];
    if (!posting_order_free(run->accounts, run->entries, run->entry_count, spans)) {
        batches_in_order++;
        return;
    }
    batches_free_of_order++;
    struct posting_account accounts[REFERENCE_ACCOUNTS_MAX];
    for (uint32_t i = 0; i < run->account_count; i++) {
        accounts[i] = episode->accounts[run->original[i]];
    }
    static struct posting_command commands[BATCH_MAX];
    static struct posting_entry entries[POSTING_ENTRIES_PER_COMMAND * BATCH_MAX];
    size_t count = 0, entry_count;
    for (size_t i = 0; i < run->count; i++) {
        if (run->commands[i].outcome != POSTING_ACCEPTED || random_percent(&episode->random, 30)) {
            continue;
        }
        const size_t place = random_below(&episode->random, (uint32_t)++count);
        commands[count - 1] = commands[place];
        commands[place] = run->commands[i];
        commands[place].group = 0;
    }
    posting_decide(accounts, run->account_count, commands, count, entries, &entry_count, index);
    same_number(episode, 0, "accepted in another order", (money_minor)entry_count,
                (money_minor)(POSTING_ENTRIES_PER_COMMAND * count));
}

/* ---- The run -------------------------------------------------------------------------------- */

static void run_batch(struct episode *episode, size_t count) {
    static struct posting_command commands[BATCH_MAX];
    static struct reference_answer answers[BATCH_MAX];
    make_batch(episode, commands, count);

    struct run run = prepare_run(episode, commands, count);
    uint32_t *index = allocate(posting_index_size(count), sizeof(*index));
    posting_decide(run.accounts, run.account_count, run.commands, count, run.entries,
                   &run.entry_count, index);
    check_order_free(episode, &run, index);
    free(index);

    const size_t first_transaction = reference.transaction_count;
    reference_run(&reference, commands, count, answers);
    for (size_t i = 0; i < count; i++) {
        compare_answer(episode, i, &run.commands[i], &answers[i]);
    }
    compare_entries(episode, &run, first_transaction);
    finish_run(episode, commands, &run);
    episode->batch_count++;
}

/* Returns the number of commands. */
static size_t run_episode(uint64_t seed) {
    static struct episode episode;
    memset(&episode, 0, sizeof(episode));
    episode.seed = seed;
    episode.random.state = seed;
    struct test_random *random = &episode.random;
    episode.account_count = 2 + random_below(random, 7);
    episode.keys = random_percent(random, 25) ? 3 + random_below(random, 30) : KEYS_MAX;
    episode.calm = random_percent(random, 30);
    episode.max_units = random_percent(random, 50) ? 12 : 800;
    episode.huge_amounts = !episode.calm && random_percent(random, 30);
    for (uint32_t i = 0; i < episode.account_count; i++) {
        make_account(&episode, i);
    }
    memcpy(reference.accounts, episode.accounts, sizeof(reference.accounts));
    reference.account_count = episode.account_count;
    reference.transaction_count = 0;

    while (episode.request_count < EPISODE_COMMANDS) {
        const uint32_t shape = random_below(random, 3);
        const uint32_t largest = shape == 0 ? 1 : shape == 1 ? 16 : BATCH_MAX;
        run_batch(&episode, 1 + random_below(random, largest));
    }
    return episode.request_count;
}

START_TEST(as_the_reference) {
    const uint64_t seed = random_seed();
    const uint64_t wanted = random_environment("PACIOLI_COMMANDS", 1000000);
    printf("PACIOLI_SEED=%llu PACIOLI_COMMANDS=%llu\n", (unsigned long long)seed,
           (unsigned long long)wanted);
    uint64_t commands = 0;
    for (uint64_t episode = 0; commands < wanted; episode++) {
        commands += run_episode(seed + episode);
    }
    printf("%llu commands, %llu repeat an earlier request, %llu in groups, %llu accepted beside "
           "another of their group\n",
           (unsigned long long)commands, (unsigned long long)repeated_commands,
           (unsigned long long)group_commands, (unsigned long long)accepted_in_groups);
    ck_assert(wanted < 100000 || accepted_in_groups > commands / 100);
    printf("%llu batches free of order, %llu not\n", (unsigned long long)batches_free_of_order,
           (unsigned long long)batches_in_order);
    ck_assert(wanted < 100000 || batches_free_of_order > commands / 2000);
    ck_assert(wanted < 100000 || batches_in_order > commands / 2000);
    for (int outcome = 1; outcome < POSTING_OUTCOME_COUNT; outcome++) {
        printf("%10llu %s\n", (unsigned long long)outcome_counts[outcome],
               posting_outcome_name((enum posting_outcome)outcome));
        /* Shapes that no longer reach an outcome would make this test blind. */
        ck_assert_msg(wanted < 100000 || outcome_counts[outcome] > commands / 500,
                      "%s comes too seldom", posting_outcome_name((enum posting_outcome)outcome));
    }
}
END_TEST

int main(void) {
    setvbuf(stdout, NULL, _IOLBF, 0); /* the seed is seen even when the test dies */
    Suite *suite = suite_create("posting_model");
    TCase *tests = tcase_create("posting_model");
    tcase_set_timeout(tests, 3600); /* ctest has the tighter one */
    tcase_add_test(tests, as_the_reference);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
