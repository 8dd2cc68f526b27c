/*
 * command: what ledger_report can do.  Each command has a file of its own; main.c has the table.
 */
#ifndef PACIOLI_REPORTS_COMMAND_H
#define PACIOLI_REPORTS_COMMAND_H

struct command {
    const char *name;
    const char *purpose; /* one line */
    /* argv[0] is the command's name; returns the exit status (source.h). */
    int (*run)(int argc, char **argv);
};

/* Every report of report.h by its name; --help included. */
int command_report(int argc, char **argv);

#endif
