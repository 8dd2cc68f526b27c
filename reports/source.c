/* Design.  Synchronous libpq: the tool does one thing at a time, and has nothing else to do
 * meanwhile.
 */
#include "reports/source.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "reports/settle.h"

#define SETTLE_ATTEMPTS 300
#define SETTLE_PAUSE_MS 50

/* Of ledger.schema_version: what the statements of this program need. */
#define SCHEMA_VERSION_MIN 8

static const char SESSION_OPTIONS[] = "-c search_path=pg_catalog -c TimeZone=UTC -c DateStyle=ISO"
                                      " -c jit=off -c idle_in_transaction_session_timeout=0";

const struct config_setting SOURCE_SETTINGS[] = {
    {.name = "POSTGRES_USER",
     .type = CONFIG_TEXT,
     .default_value = "wallet_db",
     .help = "role to connect as; one that may only read will do",
     .offset = offsetof(struct source, user)},
    {.name = "POSTGRES_PASSWORD",
     .type = CONFIG_TEXT,
     .secret = true,
     .minimum = 8,
     .maximum = 1024,
     .help = "its password",
     .offset = offsetof(struct source, password)},
    {.name = "POSTGRES_HOST",
     .type = CONFIG_TEXT,
     .default_value = "localhost",
     .help = "host, address, or the folder of a unix socket",
     .offset = offsetof(struct source, host)},
    {.name = "POSTGRES_PORT",
     .type = CONFIG_TEXT,
     .default_value = "5432",
     .help = "port",
     .offset = offsetof(struct source, port)},
    {.name = "POSTGRES_DB",
     .type = CONFIG_TEXT,
     .default_value = "wallet_db",
     .help = "database",
     .offset = offsetof(struct source, database)},
    {.name = "LEDGER_NAME",
     .type = CONFIG_TEXT,
     .default_value = "main",
     .minimum = 1,
     .maximum = 63,
     .help = "the ledger (tenant)",
     .offset = offsetof(struct source, ledger_name)},
};
const size_t SOURCE_SETTING_COUNT = sizeof(SOURCE_SETTINGS) / sizeof(SOURCE_SETTINGS[0]);

void source_complain(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs("ledger_report: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
}

/* libpq's texts end with a newline. */
static void complain_of(const struct source *source, const char *what) {
    char text[512];
    snprintf(text, sizeof(text), "%s", PQerrorMessage(source->connection));
    for (size_t length = strlen(text); length > 0 && text[length - 1] == '\n'; length--)
        text[length - 1] = '\0';
    source_complain("%s: %s", what, text);
}

/* A newer schema will do: its migrations work with the programs before them. */
static bool knows_schema(struct source *source) {
    PGresult *rows =
        source_query(source, "SELECT max(version) FROM ledger.schema_version", NULL, 0);
    if (rows == NULL)
        return false;
    const char *version = PQgetvalue(rows, 0, 0);
    bool good = strtol(version, NULL, 10) >= SCHEMA_VERSION_MIN;
    if (!good)
        source_complain("schema ledger has version %s, not %d or more: deploy the migrations",
                        version, SCHEMA_VERSION_MIN);
    PQclear(rows);
    return good;
}

static bool find_ledger(struct source *source) {
    const char *const values[] = {source->ledger_name};
    PGresult *rows =
        source_query(source, "SELECT id FROM ledger.ledger WHERE name = $1", values, 1);
    bool found = rows != NULL && PQntuples(rows) == 1;
    if (found)
        source->ledger_id = (int32_t)strtol(PQgetvalue(rows, 0, 0), NULL, 10);
    else if (rows != NULL)
        source_complain("LEDGER_NAME: there is no ledger of that name");
    PQclear(rows);
    return found;
}

static void ignore_notice(void *owner, const PGresult *result) {
    (void)owner;
    (void)result;
}

static bool connect_to(struct source *source) {
    const char *const keys[] = {"host",
                                "port",
                                "dbname",
                                "user",
                                "password",
                                "client_encoding",
                                "application_name",
                                "options",
                                "connect_timeout",
                                NULL};
    const char *const values[] = {
        source->host, source->port,    source->database, source->user, source->password,
        "UTF8",       "ledger_report", SESSION_OPTIONS,  "10",         NULL};
    source->connection = PQconnectdbParams(keys, values, 0);
    if (PQstatus(source->connection) != CONNECTION_OK) {
        complain_of(source, "the database cannot be reached");
        return false;
    }
    PQsetNoticeReceiver(source->connection, ignore_notice, NULL);
    return true;
}

int source_open(struct source *source) {
    char error[256];
    *source = (struct source){0};
    source->config =
        config_load(SOURCE_SETTINGS, SOURCE_SETTING_COUNT, ".env", source, error, sizeof(error));
    if (source->config == NULL) {
        source_complain("%s", error);
        return EXIT_CONFIG;
    }
    if (!connect_to(source) || !knows_schema(source) || !find_ledger(source)) {
        source_close(source);
        return EXIT_COULD_NOT_RUN;
    }
    return 0;
}

void source_close(struct source *source) {
    PQfinish(source->connection);
    config_free(source->config);
    *source = (struct source){0};
}

PGresult *source_try(struct source *source, const char *sql, const char *const *values, int count,
                     const char *sqlstate) {
    PGresult *rows = PQexecParams(source->connection, sql, count, NULL, values, NULL, NULL, 0);
    ExecStatusType status = PQresultStatus(rows);
    if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK)
        return rows;
    const char *found = PQresultErrorField(rows, PG_DIAG_SQLSTATE);
    if (found != NULL && strcmp(found, sqlstate) == 0)
        return rows;
    complain_of(source, "the database refuses");
    PQclear(rows);
    return NULL;
}

PGresult *source_query(struct source *source, const char *sql, const char *const *values,
                       int count) {
    return source_try(source, sql, values, count, "");
}

bool source_begin_view(struct source *source) {
    PGresult *rows = source_query(
        source, "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY", NULL, 0);
    PQclear(rows);
    return rows != NULL;
}

bool source_end_view(struct source *source) {
    PGresult *rows = source_query(source, "COMMIT", NULL, 0);
    PQclear(rows);
    return rows != NULL;
}

bool source_open_beside(struct source *source, struct source *beside) {
    PGresult *rows = source_query(source, "SELECT pg_export_snapshot()", NULL, 0);
    if (rows == NULL)
        return false;
    char sql[128];
    snprintf(sql, sizeof(sql), "SET TRANSACTION SNAPSHOT '%s'", PQgetvalue(rows, 0, 0));
    PQclear(rows);
    *beside = *source;
    beside->config = NULL; /* the other one frees it */
    if (!connect_to(beside) || !source_begin_view(beside))
        return false;
    rows = source_query(beside, sql, NULL, 0);
    PQclear(rows);
    return rows != NULL;
}

/* The only field of the only row; NULL after a message. */
static PGresult *ask(struct source *source, const char *sql, const char *value) {
    const char *const values[] = {value};
    PGresult *rows = source_query(source, sql, values, 1);
    if (rows == NULL || PQntuples(rows) == 1)
        return rows;
    source_complain("the database answers in an unexpected form");
    PQclear(rows);
    return NULL;
}

static void pause_a_little(void) {
    const struct timespec pause = {.tv_nsec = SETTLE_PAUSE_MS * 1000000L};
    nanosleep(&pause, NULL);
}

/* Whoever may only read has no right to, and finds the same rows more slowly. */
static bool tell_index(struct source *source) {
    static const char insufficient_privilege[] = "42501";
    PGresult *rows = source_try(source, SETTLE_INDEX_SQL, NULL, 0, insufficient_privilege);
    PQclear(rows);
    return rows != NULL;
}

bool source_settle(struct source *source, const char *moment, bool effective) {
    char number[24] = "";
    for (int i = 0; i < SETTLE_ATTEMPTS; i++) {
        bool noted = number[0] != '\0';
        PGresult *rows =
            noted ? ask(source, SETTLE_DONE_SQL, number) : ask(source, SETTLE_NOTE_SQL, moment);
        if (rows == NULL)
            return false;
        const char *text = PQgetvalue(rows, 0, 0);
        enum settle_note note = noted ? SETTLE_NOTED : settle_read_note(text);
        bool done = noted && strcmp(text, "t") == 0;
        if (!noted && note == SETTLE_NOTED)
            snprintf(number, sizeof(number), "%s", text);
        PQclear(rows);
        if (note == SETTLE_FUTURE && !effective)
            source_complain("%s has not passed yet: its report would still change", moment);
        if (done)
            return tell_index(source);
        if (note == SETTLE_FUTURE)
            return effective;
        if (noted || note == SETTLE_YOUNG)
            pause_a_little();
    }
    source_complain("a writer has been in progress for %d s; the moment is not settled yet",
                    SETTLE_ATTEMPTS * SETTLE_PAUSE_MS / 1000);
    return false;
}

bool source_stream(struct source *source, const char *sql, const char *const *values, int count,
                   bool (*on_row)(void *owner, const PGresult *rows, int row), void *owner) {
    if (PQsendQueryParams(source->connection, sql, count, NULL, values, NULL, NULL, 0) != 1 ||
        PQsetSingleRowMode(source->connection) != 1) {
        complain_of(source, "the database cannot be asked");
        return false;
    }
    bool good = true;
    PGresult *rows;
    while ((rows = PQgetResult(source->connection)) != NULL) {
        ExecStatusType status = PQresultStatus(rows);
        if (good && status != PGRES_SINGLE_TUPLE && status != PGRES_TUPLES_OK) {
            complain_of(source, "the database refuses");
            good = false;
        }
        for (int row = 0; good && row < PQntuples(rows); row++)
            good = on_row(owner, rows, row);
        PQclear(rows);
        if (!good) /* what is still on its way is of no use to anybody */
            break;
    }
    return good;
}
