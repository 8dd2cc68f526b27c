/*
 * log: structured JSON lines, one object per line, on standard error (or a descriptor given).
 *
 * A line is built in place and bounded; values are escaped, so nothing that a client sends can
 * start a new line or a new member.  Lines are gathered per thread and written when the thread's
 * loop ends its turn, at LOG_WARN and above at once.  Secrets are never passed to it.
 */
#ifndef PACIOLI_SERVICE_KIT_LOG_H
#define PACIOLI_SERVICE_KIT_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

/* Process-wide, before threads start. */
void log_configure(const char *service, enum log_level level, int fd);
bool log_level_parse(const char *text, enum log_level *level);
bool log_enabled(enum log_level level);

/*
 *   struct log_line line;
 *   log_begin(&line, LOG_INFO, "request");
 *   log_text(&line, "path", path, path_length);
 *   log_integer(&line, "status", 200);
 *   log_end(&line);
 * When the level is off all of it costs one comparison.
 */
#define LOG_LINE_MAX 4096
struct log_line {
    bool enabled, truncated;
    enum log_level level;
    size_t length;
    char bytes[LOG_LINE_MAX];
};
void log_begin(struct log_line *line, enum log_level level, const char *event);
void log_text(struct log_line *line, const char *name, const char *text, size_t length);
void log_string(struct log_line *line, const char *name,
                const char *text); /* NUL-terminated, NULL: null */
void log_integer(struct log_line *line, const char *name, int64_t value);
void log_boolean(struct log_line *line, const char *name, bool value);
void log_end(struct log_line *line);

/* One line with one text: log_message(LOG_WARN, "db_lost", "reason", db_connection_error(c)). */
void log_message(enum log_level level, const char *event, const char *name, const char *text);

/* Writes what the calling thread has gathered. */
void log_flush(void);

#endif
