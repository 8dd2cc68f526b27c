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
/* A bank's file becomes statements of settlement accounts, matched with the entries. */
int command_import_statement(int argc, char **argv);
/* The report of that name, and what is done about breaks: assign, resolve, match. */
int command_breaks(int argc, char **argv);
/* The books proven from their rows; --help included. */
int command_check(int argc, char **argv);
/* The journal as a stream for programs outside; --help included. */
int command_export(int argc, char **argv);

#endif
