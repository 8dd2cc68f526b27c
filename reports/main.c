/* ledger_report: reports, reconciliation and audit exports, for a shell or a cron job. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "pacioli_version.h"
#include "reports/command.h"
#include "reports/report.h"
#include "reports/source.h"

/* The reports are commands, too; these are the others. */
static const struct command COMMANDS[] = {
    {"import-statement", "bank statements of a settlement account", command_import_statement},
    {"breaks", "what banks and books disagree on; assign, resolve, match", command_breaks},
    {"check", "proves the books; tells where they are wrong", command_check},
    {"export", "the journal for hledger, ledger or beancount, as CSV or JSON Lines",
     command_export},
    {NULL, NULL, NULL},
};

static const struct command *find_command(const char *name) {
    for (const struct command *command = COMMANDS; command->name != NULL; command++) {
        if (strcmp(command->name, name) == 0)
            return command;
    }
    return NULL;
}

static void print_help(void) {
    puts("ledger_report - reports, reconciliation and audit exports of a Pacioli ledger\n\n"
         "usage: ledger_report COMMAND [options]\n"
         "       ledger_report COMMAND --help | --help | --version\n");
    for (const struct command *command = COMMANDS; command->name != NULL; command++)
        printf("  %-18s %s\n", command->name, command->purpose);
    for (size_t i = 0; i < REPORT_COUNT; i++) {
        if (find_command(REPORTS[i].name) == NULL)
            printf("  %-18s %s\n", REPORTS[i].name, REPORTS[i].purpose);
    }
    puts("\nExit status: 0 done, 1 differences were found, 2 could not run, 64 usage,\n"
         "78 configuration.\n\n"
         "Settings come from the environment, or from a file .env in the working folder; the\n"
         "environment wins.\n");
    config_print_help(SOURCE_SETTINGS, SOURCE_SETTING_COUNT);
}

static int run(int argc, char **argv) {
    const struct command *command = find_command(argv[0]);
    if (command != NULL)
        return command->run(argc, argv);
    if (report_find(argv[0], strlen(argv[0])) != NULL)
        return command_report(argc, argv);
    source_complain("unknown command %s; see ledger_report --help", argv[0]);
    return EXIT_USAGE;
}

int main(int argc, char **argv) {
    signal(SIGPIPE, SIG_IGN); /* a closed pipe is an error of the write, told like any other */
    if (argc < 2) {
        source_complain("which command? see ledger_report --help");
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0) {
        print_help();
        return 0;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("ledger_report %s (%s)\n", PACIOLI_VERSION, PACIOLI_COMMIT);
        return 0;
    }
    return run(argc - 1, argv + 1);
}
