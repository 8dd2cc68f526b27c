/*
 * log: lines are built on the caller's stack, gathered in a buffer per thread, and written whole.
 *
 * A line is {"time":…,"service":…,"level":…,"event":…, members} and at most LOG_LINE_MAX bytes with
 * its newline.  One value takes at most VALUE_MAX bytes of it, so that an overlong path does not
 * push out the status and the duration; what does not fit is cut at a character or left out, and
 * the line says "truncated".  Escaped are control characters (C1 too: terminals obey them), quotes,
 * what starts a new line in some viewers (U+2028, U+2029) and what reorders text (bidi controls); a
 * byte that is not UTF-8 becomes U+FFFD.
 *
 * A service must not stop because nobody reads its log.  Before each write the descriptor is asked
 * whether it takes bytes, for STALL_WAIT_MS at most and not at all while it is known to be stuck;
 * lines that find no place are dropped and counted, and the count is the first thing written when
 * the descriptor takes bytes again.  To a pipe no more than PIPE_BUF bytes of whole lines go at
 * once, which makes the write atomic and keeps it from blocking half way.
 */
#include "service_kit/log.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "service_kit/utf8.h"

#define BUFFER_SIZE   (64U * 1024U)
#define VALUE_MAX     2048U
#define STALL_WAIT_MS 50

#define CLOSING   "}\n"
#define TRUNCATED ",\"truncated\":true"
/* Members end here: what closes the line fits behind it always. */
#define MEMBERS_MAX (LOG_LINE_MAX - sizeof(TRUNCATED CLOSING) + 1)

static_assert(LOG_LINE_MAX <= PIPE_BUF, "a line is written to a pipe in one piece");

struct buffer {
    size_t length;
    char bytes[BUFFER_SIZE];
};

/* Set by log_configure, before threads start; read-only afterwards. */
static struct {
    char service[64];
    enum log_level level;
    int fd;
    bool regular_file;
} settings = {.service = "-", .level = LOG_INFO, .fd = STDERR_FILENO};

/* What all threads write through. */
static struct {
    pthread_mutex_t mutex;
    bool stuck;              /* the last write found no room */
    uint64_t dropped;        /* lines, since the last that was written */
    char rest[LOG_LINE_MAX]; /* of a line that the descriptor took half of */
    size_t rest_length;
} output = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t buffer_key; /* its destructor writes what an ending thread has gathered */
static _Thread_local struct buffer *thread_buffer;

static const char *const level_names[] = {"debug", "info", "warn", "error"};

/* ---- writing ---- */

static bool takes_bytes(void) {
    if (settings.regular_file) {
        return true;
    }
    struct pollfd waiting = {.fd = settings.fd, .events = POLLOUT};
    int ready = 0;
    do {
        ready = poll(&waiting, 1, output.stuck ? 0 : STALL_WAIT_MS);
    } while (ready < 0 && errno == EINTR);
    return ready > 0;
}

/* How many of the bytes the descriptor took. */
static size_t write_some(const char *bytes, size_t length) {
    size_t done = 0;
    while (done < length) {
        if (!takes_bytes()) {
            output.stuck = true;
            break;
        }
        const ssize_t wrote = write(settings.fd, bytes + done, length - done);
        if (wrote < 0 && errno == EINTR) {
            continue;
        }
        if (wrote <= 0) {
            output.stuck = true; /* EAGAIN of a shared descriptor, or broken: both may pass */
            break;
        }
        done += (size_t)wrote;
    }
    if (done == length) {
        output.stuck = false;
    }
    return done;
}

/* The longest run of whole lines that goes out in one write; `length` ends with a line. */
static size_t whole_lines(const char *bytes, size_t length) {
    if (settings.regular_file || length <= PIPE_BUF) {
        return length;
    }
    const char *last = memrchr(bytes, '\n', PIPE_BUF);
    assert(last != NULL);
    return (size_t)(last - bytes) + 1;
}

static uint64_t count_lines(const char *bytes, size_t length) {
    uint64_t count = 0;
    for (size_t i = 0; i < length; i++) {
        count += bytes[i] == '\n';
    }
    return count;
}

/* Writes lines; keeps the rest of one that went out in part, drops and counts those after it. */
static void write_lines(const char *bytes, size_t length) {
    size_t done = 0;
    while (done < length) {
        const size_t part = whole_lines(bytes + done, length - done);
        const size_t wrote = write_some(bytes + done, part);
        done += wrote;
        if (wrote == part) {
            continue;
        }
        if (wrote > 0 && bytes[done - 1] != '\n') {
            const char *newline = memchr(bytes + done, '\n', length - done);
            assert(newline != NULL);
            output.rest_length = (size_t)(newline - (bytes + done)) + 1;
            memcpy(output.rest, bytes + done, output.rest_length);
            done += output.rest_length;
        }
        output.dropped += count_lines(bytes + done, length - done);
        return;
    }
}

/* What was left over from a failure. False: the descriptor is still stuck. */
static bool write_leftovers(void) {
    if (output.rest_length > 0) {
        const size_t wrote = write_some(output.rest, output.rest_length);
        output.rest_length -= wrote;
        memmove(output.rest, output.rest + wrote, output.rest_length);
        if (output.rest_length > 0) {
            return false;
        }
    }
    if (output.dropped > 0) {
        const uint64_t dropped = output.dropped;
        struct log_line line;
        log_begin(&line, LOG_ERROR, "log_lines_dropped"); /* the one level that is never off */
        log_integer(&line, "lines", dropped > INT64_MAX ? INT64_MAX : (int64_t)dropped);
        memcpy(line.bytes + line.length, CLOSING, sizeof(CLOSING) - 1);
        line.length += sizeof(CLOSING) - 1;
        output.dropped = 0;
        write_lines(line.bytes, line.length);
        if (output.dropped > 0) { /* the report itself */
            output.dropped = dropped;
            return false;
        }
    }
    return output.rest_length == 0;
}

static void write_out(const char *bytes, size_t length) {
    pthread_mutex_lock(&output.mutex);
    if (write_leftovers()) {
        write_lines(bytes, length);
    } else {
        output.dropped += count_lines(bytes, length);
    }
    pthread_mutex_unlock(&output.mutex);
}

/* ---- the thread's buffer ---- */

void log_flush(void) {
    struct buffer *buffer = thread_buffer;
    if (buffer != NULL && buffer->length > 0) {
        write_out(buffer->bytes, buffer->length);
        buffer->length = 0;
    }
}

static void end_thread(void *buffer) {
    log_flush();
    thread_buffer = NULL;
    free(buffer);
}

static void prepare(void) {
    const int failed = pthread_key_create(&buffer_key, end_thread);
    assert(failed == 0);
    (void)atexit(log_flush); /* the main thread's; destructors of a key do not run for it */
}

static struct buffer *own_buffer(void) {
    if (thread_buffer == NULL) {
        pthread_once(&once, prepare);
        struct buffer *buffer = malloc(sizeof(*buffer));
        if (buffer == NULL || pthread_setspecific(buffer_key, buffer) != 0) {
            free(buffer);
            return NULL;
        }
        buffer->length = 0;
        thread_buffer = buffer;
    }
    return thread_buffer;
}

/* ---- building ---- */

static size_t put_digits(char *out, uint64_t value, size_t width) {
    for (size_t i = width; i > 0; i--) {
        out[i - 1] = (char)('0' + value % 10);
        value /= 10;
    }
    return width;
}

/* 2025-01-31T12:00:00.123456Z. The part down to the second is made once a second. */
static size_t put_time(char *out) {
    static _Thread_local time_t cached_second = -1;
    static _Thread_local char cached[20];
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    if (now.tv_sec != cached_second) {
        struct tm parts;
        (void)gmtime_r(&now.tv_sec, &parts);
        size_t at = put_digits(cached, (uint64_t)(parts.tm_year + 1900), 4);
        cached[at++] = '-';
        at += put_digits(cached + at, (uint64_t)(parts.tm_mon + 1), 2);
        cached[at++] = '-';
        at += put_digits(cached + at, (uint64_t)parts.tm_mday, 2);
        cached[at++] = 'T';
        at += put_digits(cached + at, (uint64_t)parts.tm_hour, 2);
        cached[at++] = ':';
        at += put_digits(cached + at, (uint64_t)parts.tm_min, 2);
        cached[at++] = ':';
        at += put_digits(cached + at, (uint64_t)parts.tm_sec, 2);
        cached[at++] = '.';
        assert(at == sizeof(cached));
        cached_second = now.tv_sec;
    }
    memcpy(out, cached, sizeof(cached));
    size_t at = sizeof(cached) + put_digits(out + sizeof(cached), (uint64_t)now.tv_nsec / 1000, 6);
    out[at++] = 'Z';
    return at;
}

static bool is_dangerous(uint32_t code_point) {
    return code_point < 0x20 || code_point == '"' || code_point == '\\' ||
           (code_point >= 0x7f && code_point <= 0x9f) ||     /* DEL, C1 */
           (code_point >= 0x2028 && code_point <= 0x202e) || /* separators, bidi */
           (code_point >= 0x2066 && code_point <= 0x2069) || /* bidi isolates */
           code_point == 0x200e || code_point == 0x200f || code_point == 0xfeff;
}

static size_t put_unicode_escape(char *out, uint32_t code_point) {
    static const char hex[] = "0123456789abcdef";
    out[0] = '\\';
    out[1] = 'u';
    for (size_t i = 0; i < 4; i++) {
        out[2 + i] = hex[(code_point >> (12 - 4 * i)) & 0xfU];
    }
    return 6;
}

/* Escapes as much of the text as fits; *all tells whether that was all of it. */
static size_t escape(char *out, size_t room, const char *text, size_t length, bool *all) {
    size_t at = 0, used = 0;
    while (at < length) {
        const unsigned char byte = (unsigned char)text[at];
        if (byte >= 0x20 && byte < 0x7f && byte != '"' && byte != '\\') {
            if (used == room) {
                break;
            }
            out[used++] = text[at++];
            continue;
        }
        uint32_t code_point = 0xfffd;
        const size_t taken = utf8_sequence(text + at, length - at, &code_point);
        const bool plain = taken > 0 && !is_dangerous(code_point);
        const size_t needed = plain ? taken : byte == '"' || byte == '\\' ? 2 : 6;
        if (room - used < needed) {
            break;
        }
        if (plain) {
            memcpy(out + used, text + at, taken);
        } else if (needed == 2) {
            out[used] = '\\';
            out[used + 1] = (char)byte;
        } else {
            (void)put_unicode_escape(out + used, code_point);
        }
        used += needed;
        at += taken == 0 ? 1 : taken;
    }
    *all = at == length;
    return used;
}

/* Begins a member if `value_min` bytes of its value fit too. */
static bool put_name(struct log_line *line, const char *name, size_t value_min) {
    const size_t length = strlen(name);
    if (line->length + length + 4 + value_min > MEMBERS_MAX) {
        line->truncated = true;
        return false;
    }
    char *out = line->bytes + line->length;
    *out++ = ',';
    *out++ = '"';
    memcpy(out, name, length);
    out += length;
    *out++ = '"';
    *out = ':';
    line->length += length + 4;
    return true;
}

void log_text(struct log_line *line, const char *name, const char *text, size_t length) {
    if (!line->enabled || !put_name(line, name, 2)) {
        return;
    }
    line->bytes[line->length++] = '"';
    size_t room = MEMBERS_MAX - line->length - 1;
    room = room < VALUE_MAX ? room : VALUE_MAX;
    bool all = true;
    line->length += escape(line->bytes + line->length, room, text, length, &all);
    line->bytes[line->length++] = '"';
    line->truncated = line->truncated || !all;
}

static void put_literal(struct log_line *line, const char *name, const char *literal) {
    const size_t length = strlen(literal);
    if (line->enabled && put_name(line, name, length)) {
        memcpy(line->bytes + line->length, literal, length);
        line->length += length;
    }
}

void log_string(struct log_line *line, const char *name, const char *text) {
    if (text == NULL) {
        put_literal(line, name, "null");
    } else {
        log_text(line, name, text, strlen(text));
    }
}

void log_integer(struct log_line *line, const char *name, int64_t value) {
    char digits[21];
    size_t at = sizeof(digits) - 1;
    digits[at] = '\0';
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do {
        digits[--at] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (value < 0) {
        digits[--at] = '-';
    }
    put_literal(line, name, digits + at);
}

void log_boolean(struct log_line *line, const char *name, bool value) {
    put_literal(line, name, value ? "true" : "false");
}

void log_begin(struct log_line *line, enum log_level level, const char *event) {
    line->enabled = level >= settings.level;
    line->length = 0;
    if (!line->enabled) {
        return;
    }
    line->level = level;
    line->truncated = false;
    static const char start[] = "{\"time\":\"";
    memcpy(line->bytes, start, sizeof(start) - 1);
    line->length = sizeof(start) - 1;
    line->length += put_time(line->bytes + line->length);
    line->bytes[line->length++] = '"';
    log_string(line, "service", settings.service);
    log_string(line, "level", level_names[level]);
    log_string(line, "event", event);
}

void log_end(struct log_line *line) {
    if (!line->enabled) {
        return;
    }
    if (line->truncated) {
        memcpy(line->bytes + line->length, TRUNCATED, sizeof(TRUNCATED) - 1);
        line->length += sizeof(TRUNCATED) - 1;
    }
    memcpy(line->bytes + line->length, CLOSING, sizeof(CLOSING) - 1);
    line->length += sizeof(CLOSING) - 1;
    assert(line->length <= LOG_LINE_MAX);

    struct buffer *buffer = own_buffer();
    if (buffer == NULL) {
        write_out(line->bytes, line->length);
        return;
    }
    if (line->length > BUFFER_SIZE - buffer->length) {
        log_flush();
    }
    memcpy(buffer->bytes + buffer->length, line->bytes, line->length);
    buffer->length += line->length;
    if (line->level >= LOG_WARN) {
        log_flush();
    }
}

void log_message(enum log_level level, const char *event, const char *name, const char *text) {
    struct log_line line;
    log_begin(&line, level, event);
    log_string(&line, name, text);
    log_end(&line);
}

/* ---- settings ---- */

void log_configure(const char *service, enum log_level level, int fd) {
    pthread_mutex_lock(&output.mutex);
    const size_t length = strnlen(service, sizeof(settings.service) - 1);
    memcpy(settings.service, service, length);
    settings.service[length] = '\0';
    settings.level = level;
    settings.fd = fd;
    struct stat status;
    settings.regular_file = fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
    output.stuck = false;
    pthread_mutex_unlock(&output.mutex);
}

bool log_level_parse(const char *text, enum log_level *level) {
    for (size_t i = 0; i < sizeof(level_names) / sizeof(level_names[0]); i++) {
        if (strcasecmp(text, level_names[i]) == 0) {
            *level = (enum log_level)i;
            return true;
        }
    }
    return false;
}

bool log_enabled(enum log_level level) {
    return level >= settings.level;
}
