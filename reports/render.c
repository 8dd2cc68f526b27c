/*
 * Design.  Sections come in the order that the report names; those without rows are shown empty in
 * JSON.  A page is named by its last line, so a row that goes out is looked at once, here.
 */
#include "reports/render.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ledger_core/engine/money.h"

/* ---- pieces ---- */

void render_csv_cell(struct output *output, const char *text) {
    bool formula = *text != '\0' && strchr("=+-@\t\r", *text) != NULL;
    bool quoted = strpbrk(text, ",\"\r\n") != NULL;
    if (quoted)
        output_bytes(output, "\"", 1);
    if (formula)
        output_bytes(output, "'", 1);
    for (const char *at = text; *at != '\0';) {
        size_t plain = strcspn(at, "\"");
        output_bytes(output, at, plain);
        at += plain;
        if (*at == '"') {
            output_bytes(output, "\"\"", 2);
            at++;
        }
    }
    if (quoted)
        output_bytes(output, "\"", 1);
}

/* A byte of a string that stands for itself; the NUL at its end does not. */
static bool json_plain(char byte) {
    unsigned char c = (unsigned char)byte;
    return c >= 0x20 && c != 0x7f && c != '"' && c != '\\';
}

void render_json_string(struct output *output, const char *text) {
    output_bytes(output, "\"", 1);
    for (const char *at = text; *at != '\0';) {
        size_t plain = 0;
        while (json_plain(at[plain]))
            plain++;
        output_bytes(output, at, plain);
        at += plain;
        unsigned char c = (unsigned char)*at;
        if (c == '\0')
            break;
        if (c == '"' || c == '\\')
            output_format(output, "\\%c", c);
        else
            output_format(output, "\\u%04x", c);
        at++;
    }
    output_bytes(output, "\"", 1);
}

/* Columns of the terminal that UTF-8 text takes, roughly: one per code point. */
static int width_of(const char *text) {
    int width = 0;
    for (; *text != '\0'; text++)
        width += ((unsigned char)*text & 0xC0) != 0x80;
    return width;
}

/* A control character would move the cursor of whoever reads it. */
static void print_plain(struct output *output, const char *text) {
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        output_bytes(output, c < 0x20 || c == 0x7f ? "?" : text, 1);
    }
}

/* Text to the left, numbers to the right; wider ones push what follows away by a blank. */
static void print_cell(struct render *render, const struct report_column *column,
                       const char *text) {
    int width = width_of(text), room = column->width - width;
    bool right = column->kind != REPORT_TEXT;
    render->blanks += right && room > 1 ? room - 1 : 0;
    for (; width > 0 && render->blanks > 0; render->blanks--)
        output_bytes(render->output, " ", 1);
    print_plain(render->output, text);
    render->blanks += right || room < 1 ? 1 : room;
}

static void end_line(struct render *render) {
    render->blanks = 0;
    output_bytes(render->output, "\n", 1);
}

/* Digits of numeric(38,0) in minor units to a decimal text. */
static bool format_amount(const char *digits, uint8_t decimals, char text[static MONEY_TEXT_MAX]) {
    bool negative = *digits == '-';
    struct money_decimal decimal;
    money_minor minor;
    const char *magnitude = digits + (negative ? 1 : 0);
    if (money_parse(magnitude, strlen(magnitude), &decimal) != MONEY_PARSED ||
        decimal.decimals != 0 || money_scale(decimal, 0, &minor) != MONEY_SCALED)
        return false;
    money_format(negative ? -minor : minor, decimals, text);
    return true;
}

/* ---- a report ---- */

const char *render_content_type(enum report_format format) {
    switch (format) {
    case REPORT_FORMAT_CSV:
        return "text/csv; charset=utf-8";
    case REPORT_FORMAT_JSON:
        return "application/json";
    case REPORT_FORMAT_TEXT:
        break;
    }
    return "text/plain; charset=utf-8";
}

static void json_fact(struct output *output, const char *name, const char *value) {
    output_format(output, ",\"%s\":", name);
    if (value == NULL)
        output_text(output, "null");
    else
        render_json_string(output, value);
}

static void begin_json(const struct render *render) {
    const struct report_request *request = render->request;
    struct output *output = render->output;
    output_text(output, "{\"report\":");
    render_json_string(output, render->report->name);
    json_fact(output, "ledger", request->ledger_name);
    json_fact(output, "time", request->effective ? "effective" : "booking");
    if (render->report->needs & REPORT_AS_OF)
        json_fact(output, "as_of", request->as_of);
    if (render->report->needs & REPORT_PERIOD) {
        json_fact(output, "from", request->from);
        json_fact(output, "to", request->to);
    }
    json_fact(output, "currency", request->currency);
    if (render->report->needs & REPORT_ACCOUNT)
        json_fact(output, "account", request->account);
}

static void begin_csv(const struct render *render) {
    output_text(render->output, "section");
    for (const struct report_column *column = render->report->columns; column->name; column++)
        output_format(render->output, ",%s", column->name);
    output_text(render->output, "\r\n");
}

static void begin_text(struct render *render) {
    const struct report_request *request = render->request;
    struct output *output = render->output;
    output_format(output, "%s, ledger %s, by %s time", render->report->title, request->ledger_name,
                  request->effective ? "effective" : "booking");
    if (request->as_of != NULL)
        output_format(output, ", before %s", request->as_of);
    if (request->from != NULL)
        output_format(output, ", from %s", request->from);
    if (request->to != NULL)
        output_format(output, ", before %s", request->to);
    output_text(output, "\n\n");
    for (const struct report_column *column = render->report->columns; column->name; column++)
        print_cell(render, column, column->name);
    end_line(render);
}

void render_begin(struct render *render, const struct report *report,
                  const struct report_request *request, enum report_format format,
                  struct output *output) {
    *render = (struct render){
        .report = report, .request = request, .format = format, .output = output, .section = -1};
    switch (format) {
    case REPORT_FORMAT_JSON:
        begin_json(render);
        break;
    case REPORT_FORMAT_CSV:
        begin_csv(render);
        break;
    case REPORT_FORMAT_TEXT:
        begin_text(render);
        break;
    }
}

/* Up to this section: those in between have no rows. */
static void open_sections(struct render *render, int section) {
    while (render->section < section) {
        bool first = render->section < 0;
        render->section++;
        const char *name = render->report->sections[render->section];
        if (render->format == REPORT_FORMAT_JSON)
            output_format(render->output, "%s,\"%s\":[", first ? "" : "]", name);
        else if (render->format == REPORT_FORMAT_TEXT && strcmp(name, "lines") != 0)
            output_format(render->output, "-- %s\n", name);
    }
}

static int section_number(const struct report *report, const char *name) {
    for (int i = 0; report->sections[i] != NULL; i++) {
        if (strcmp(report->sections[i], name) == 0)
            return i;
    }
    return -1;
}

static void write_cell(struct render *render, int number, const char *text) {
    const struct report_column *column = &render->report->columns[number];
    struct output *output = render->output;
    switch (render->format) {
    case REPORT_FORMAT_JSON:
        output_format(output, "%s\"%s\":", number == 0 ? "" : ",", column->name);
        if (text == NULL)
            output_text(output, "null");
        else if (column->kind == REPORT_INTEGER)
            output_text(output, text);
        else
            render_json_string(output, text);
        break;
    case REPORT_FORMAT_CSV:
        output_bytes(output, ",", 1);
        if (text != NULL && column->kind == REPORT_TEXT)
            render_csv_cell(output, text);
        else if (text != NULL)
            output_text(output, text);
        break;
    case REPORT_FORMAT_TEXT:
        print_cell(render, column, text == NULL ? "" : text);
        break;
    }
}

/* The name of a line's place, for the page that begins behind it. */
static void note_place(struct render *render, const PGresult *rows, int row) {
    char place[sizeof(render->next)] = "";
    const char *page_column = render->report->page_column;
    if (page_column == NULL) /* the journal: time and id of the transaction */
        snprintf(place, sizeof(place), "%s/%s",
                 PQgetvalue(rows, row, render->request->effective ? 3 : 2),
                 PQgetvalue(rows, row, 1));
    for (int i = 0; page_column != NULL && render->report->columns[i].name != NULL; i++) {
        if (strcmp(render->report->columns[i].name, page_column) == 0)
            snprintf(place, sizeof(place), "%s", PQgetvalue(rows, row, i + 1));
    }
    if (strcmp(place, render->next) != 0)
        render->places++;
    memcpy(render->next, place, sizeof(place));
}

bool render_row(struct render *render, const PGresult *rows, int row) {
    const struct report *report = render->report;
    int columns = 0;
    while (report->columns[columns].name != NULL)
        columns++;
    int section = section_number(report, PQgetvalue(rows, row, 0));
    if (PQnfields(rows) != columns + 2 || section < render->section || section < 0) {
        render->error = "the rows of a report are not as they must be";
        return false;
    }
    bool first = section > render->section;
    open_sections(render, section);
    if (render->format == REPORT_FORMAT_JSON)
        output_text(render->output, first ? "{" : ",{");
    else if (render->format == REPORT_FORMAT_CSV)
        output_text(render->output, report->sections[section]);
    long decimals = strtol(PQgetvalue(rows, row, columns + 1), NULL, 10);
    for (int i = 0; i < columns; i++) {
        char amount[MONEY_TEXT_MAX];
        const char *text = PQgetisnull(rows, row, i + 1) ? NULL : PQgetvalue(rows, row, i + 1);
        if (text != NULL && report->columns[i].kind == REPORT_AMOUNT) {
            if (decimals < 0 || decimals > MONEY_DECIMALS_MAX ||
                !format_amount(text, (uint8_t)decimals, amount)) {
                render->error = "an amount of a report is not as it must be";
                return false;
            }
            text = amount;
        }
        write_cell(render, i, text);
    }
    if (render->format == REPORT_FORMAT_TEXT)
        end_line(render);
    else
        output_text(render->output, render->format == REPORT_FORMAT_CSV ? "\r\n" : "}");
    if (report->place != REPORT_PLACE_NONE && strcmp(report->sections[section], "lines") == 0)
        note_place(render, rows, row);
    return true;
}

const char *render_next(const struct render *render) {
    int64_t limit = render->request->row_limit;
    return limit > 0 && render->places >= limit ? render->next : NULL;
}

void render_end(struct render *render) {
    int last = 0;
    while (render->report->sections[last + 1] != NULL)
        last++;
    if (render->format == REPORT_FORMAT_JSON) {
        open_sections(render, last);
        output_text(render->output, "]");
        if (render->report->place != REPORT_PLACE_NONE)
            json_fact(render->output, "next", render_next(render));
        output_text(render->output, "}\n");
    }
}
