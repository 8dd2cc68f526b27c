/*
 * Design.  One pass over the head with memchr from line to line.  Positions are kept as 16-bit
 * offsets, because a head is at most 16 KiB: the result is small, and stays right when the bytes
 * are copied.  libh2o has read the same bytes before and lower-cased the names in place; nothing
 * here depends on either.
 */
#include "service_kit/http_edge.h"

#include <string.h>

_Static_assert(HTTP_HEAD_MAX_BYTES <= UINT16_MAX, "offsets are 16 bits");
_Static_assert(HTTP_HEADER_LINES_MAX <= UINT8_MAX, "line numbers are 8 bits");

/* ---- bytes ---- */

enum { BYTE_TOKEN = 1, BYTE_TARGET = 2, BYTE_CONTROL = 4, BYTE_HOST = 8, BYTE_B64TOKEN = 16 };

static uint8_t byte_class(unsigned char byte) {
    bool alphanumeric = (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') ||
                        (byte >= 'A' && byte <= 'Z');
    uint8_t class = 0;
    if (byte != 0 && (alphanumeric || strchr("!#$%&'*+-.^_`|~", byte) != NULL))
        class |= BYTE_TOKEN;
    if (byte > 0x20 && byte < 0x7f)
        class |= BYTE_TARGET;
    if ((byte < 0x20 && byte != '\t') || byte == 0x7f)
        class |= BYTE_CONTROL;
    if (byte != 0 && (alphanumeric || strchr("-._~%!$&'()*+;=:[]", byte) != NULL))
        class |= BYTE_HOST;
    if (byte != 0 && (alphanumeric || strchr("-._~+/", byte) != NULL))
        class |= BYTE_B64TOKEN;
    return class;
}

static uint8_t byte_classes[256];

__attribute__((constructor)) static void fill_byte_classes(void) {
    for (unsigned i = 0; i < sizeof(byte_classes); i++)
        byte_classes[i] = byte_class((unsigned char)i);
}

static bool all_of(const char *bytes, size_t length, uint8_t class) {
    for (size_t i = 0; i < length; i++)
        if ((byte_classes[(unsigned char)bytes[i]] & class) == 0)
            return false;
    return true;
}

static bool none_of(const char *bytes, size_t length, uint8_t class) {
    uint8_t seen = 0;
    for (size_t i = 0; i < length; i++)
        seen |= byte_classes[(unsigned char)bytes[i]];
    return (seen & class) == 0;
}

static char lower(char byte) {
    if (byte >= 'A' && byte <= 'Z')
        return (char)(byte | 0x20);
    return byte;
}

static bool equal_lower(const char *bytes, size_t length, const char *lower_case) {
    for (size_t i = 0; i < length; i++)
        if (lower_case[i] == '\0' || lower(bytes[i]) != lower_case[i])
            return false;
    return lower_case[length] == '\0';
}

static bool is_space(char byte) {
    return byte == ' ' || byte == '\t';
}

static int hex_value(char digit) {
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    digit = lower(digit);
    return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

/* ---- the head ---- */

static const struct {
    const char *name;
    uint8_t length;
    enum http_fault repeated;
} known_headers[HTTP_KNOWN_COUNT] = {
    [HTTP_KNOWN_HOST] = {"host", 4, HTTP_FAULT_HOST},
    [HTTP_KNOWN_CONTENT_LENGTH] = {"content-length", 14, HTTP_FAULT_LENGTH},
    [HTTP_KNOWN_TRANSFER_ENCODING] = {"transfer-encoding", 17, HTTP_FAULT_CODING},
    [HTTP_KNOWN_AUTHORIZATION] = {"authorization", 13, HTTP_FAULT_AUTHORIZATION},
    [HTTP_KNOWN_IDEMPOTENCY_KEY] = {"idempotency-key", 15, HTTP_FAULT_REPEATED},
    [HTTP_KNOWN_CONTENT_TYPE] = {"content-type", 12, HTTP_FAULT_REPEATED},
    [HTTP_KNOWN_REQUEST_ID] = {"x-request-id", 12, HTTP_FAULT_NONE},
    [HTTP_KNOWN_TRACEPARENT] = {"traceparent", 11, HTTP_FAULT_NONE},
};

/* The next line, without its CR LF; moves *at behind it. */
static enum http_fault next_line(const char *bytes, size_t length, size_t *at, const char **line,
                                 size_t *line_length) {
    size_t readable = length < HTTP_HEAD_MAX_BYTES ? length : HTTP_HEAD_MAX_BYTES;
    const char *start = bytes + *at;
    const char *end = *at < readable ? memchr(start, '\n', readable - *at) : NULL;
    if (end == NULL)
        return length > HTTP_HEAD_MAX_BYTES ? HTTP_FAULT_TOO_LARGE : HTTP_FAULT_REQUEST_LINE;
    if (end == start || end[-1] != '\r')
        return HTTP_FAULT_BARE_LF;
    *line = start;
    *line_length = (size_t)(end - start) - 1;
    *at = (size_t)(end - bytes) + 1;
    return HTTP_FAULT_NONE;
}

static enum http_fault read_request_line(const char *bytes, const char *line, size_t length,
                                         struct http_head *head) {
    static const char version[] = " HTTP/1.";
    const size_t version_length = sizeof(version) - 1 + 1;
    const char *space = memchr(line, ' ', length);
    if (space == NULL || space == line || length < (size_t)(space - line) + 1 + version_length)
        return HTTP_FAULT_REQUEST_LINE;
    size_t method_length = (size_t)(space - line);
    const char *target = space + 1;
    size_t target_length = length - method_length - 1 - version_length;
    const char *end = target + target_length;
    char minor = end[version_length - 1];
    if (memcmp(end, version, sizeof(version) - 1) != 0 || minor < '0' || minor > '9' ||
        !all_of(line, method_length, BYTE_TOKEN))
        return HTTP_FAULT_REQUEST_LINE;

    const char *question = memchr(target, '?', target_length);
    size_t path_length = question != NULL ? (size_t)(question - target) : target_length;
    head->method = (uint16_t)(line - bytes);
    head->method_length = (uint16_t)method_length;
    head->path = (uint16_t)(target - bytes);
    head->path_length = (uint16_t)path_length;
    if (question != NULL) {
        head->has_query = true;
        head->query = (uint16_t)(question + 1 - bytes);
        head->query_length = (uint16_t)(target_length - path_length - 1);
    }
    head->minor_version = (uint8_t)(minor - '0');
    if (target_length == 0 || !all_of(target, target_length, BYTE_TARGET) ||
        memchr(target, '#', target_length) != NULL)
        return HTTP_FAULT_REQUEST_LINE;
    return target[0] == '/' ? HTTP_FAULT_NONE : HTTP_FAULT_TARGET;
}

static void note_known(const char *bytes, struct http_head *head) {
    const struct http_line *line = &head->lines[head->line_count];
    for (size_t known = 0; known < HTTP_KNOWN_COUNT; known++) {
        if (line->name_length != known_headers[known].length ||
            !equal_lower(bytes + line->name, line->name_length, known_headers[known].name))
            continue;
        if (head->known_count[known] == 0)
            head->known_line[known] = head->line_count;
        head->known_count[known]++;
        return;
    }
}

static enum http_fault read_header_line(const char *bytes, const char *line, size_t length,
                                        struct http_head *head) {
    if (is_space(line[0]))
        return HTTP_FAULT_FOLDED;
    const char *colon = memchr(line, ':', length);
    if (colon == NULL || colon == line || !all_of(line, (size_t)(colon - line), BYTE_TOKEN))
        return HTTP_FAULT_HEADER;
    if (head->line_count == HTTP_HEADER_LINES_MAX)
        return HTTP_FAULT_TOO_LARGE;
    const char *value = colon + 1;
    const char *end = line + length;
    while (value < end && is_space(*value))
        value++;
    while (end > value && is_space(end[-1]))
        end--;
    if (!none_of(value, (size_t)(end - value), BYTE_CONTROL))
        return HTTP_FAULT_HEADER;
    head->lines[head->line_count] = (struct http_line){
        .name = (uint16_t)(line - bytes),
        .name_length = (uint16_t)(colon - line),
        .value = (uint16_t)(value - bytes),
        .value_length = (uint16_t)(end - value),
    };
    note_known(bytes, head);
    head->line_count++;
    return HTTP_FAULT_NONE;
}

static enum http_fault check_known(const char *bytes, const struct http_head *head) {
    const struct http_line *host = &head->lines[head->known_line[HTTP_KNOWN_HOST]];
    const struct http_line *length = &head->lines[head->known_line[HTTP_KNOWN_CONTENT_LENGTH]];
    bool has_length = head->known_count[HTTP_KNOWN_CONTENT_LENGTH] > 0;

    for (size_t known = 0; known < HTTP_KNOWN_COUNT; known++)
        if (head->known_count[known] > 1 && known_headers[known].repeated != HTTP_FAULT_NONE &&
            known != HTTP_KNOWN_TRANSFER_ENCODING)
            return known_headers[known].repeated;
    if (head->known_count[HTTP_KNOWN_HOST] == 0) {
        if (head->minor_version > 0)
            return HTTP_FAULT_HOST;
    } else if (host->value_length == 0 ||
               !all_of(bytes + host->value, host->value_length, BYTE_HOST)) {
        return HTTP_FAULT_HOST;
    }
    if (has_length) {
        if (length->value_length == 0)
            return HTTP_FAULT_LENGTH;
        for (size_t i = 0; i < length->value_length; i++)
            if (bytes[length->value + i] < '0' || bytes[length->value + i] > '9')
                return HTTP_FAULT_LENGTH;
    }
    if (head->known_count[HTTP_KNOWN_TRANSFER_ENCODING] > 0)
        return has_length ? HTTP_FAULT_LENGTH_AND_CODING : HTTP_FAULT_CODING;
    return HTTP_FAULT_NONE;
}

enum http_fault http_edge_read(const char *bytes, size_t length, struct http_head *head) {
    memset(head, 0, offsetof(struct http_head, lines));
    size_t at = 0;
    const char *line = NULL;
    size_t line_length = 0;
    if (length >= 2 && bytes[0] == '\r' && bytes[1] == '\n')
        at = 2; /* RFC 9112 2.2: one empty line before a request is skipped, as libh2o does */

    enum http_fault fault = next_line(bytes, length, &at, &line, &line_length);
    if (fault == HTTP_FAULT_NONE)
        fault = read_request_line(bytes, line, line_length, head);
    /* A target that is no path is a fault, but not one of framing: those that follow come first. */
    enum http_fault target_fault = fault == HTTP_FAULT_TARGET ? fault : HTTP_FAULT_NONE;
    if (target_fault != HTTP_FAULT_NONE)
        fault = HTTP_FAULT_NONE;

    while (fault == HTTP_FAULT_NONE) {
        fault = next_line(bytes, length, &at, &line, &line_length);
        if (fault == HTTP_FAULT_NONE && line_length == 0) {
            head->length = (uint16_t)at;
            fault = check_known(bytes, head);
            return fault != HTTP_FAULT_NONE ? fault : target_fault;
        }
        if (fault == HTTP_FAULT_NONE)
            fault = read_header_line(bytes, line, line_length, head);
    }
    return fault;
}

static const struct {
    const struct problem_kind *kind;
    const char *detail;
    bool closes;
} faults[HTTP_FAULT_COUNT] = {
    [HTTP_FAULT_REQUEST_LINE] = {&PROBLEM_BAD_REQUEST, "The request line is malformed.", true},
    [HTTP_FAULT_TARGET] = {&PROBLEM_BAD_REQUEST, "The request target must be a path.", true},
    [HTTP_FAULT_BARE_LF] = {&PROBLEM_BAD_REQUEST, "A line does not end in CR LF.", true},
    [HTTP_FAULT_FOLDED] = {&PROBLEM_BAD_REQUEST, "A header line is folded.", true},
    [HTTP_FAULT_HEADER] = {&PROBLEM_BAD_REQUEST, "A header line is malformed.", true},
    [HTTP_FAULT_HOST] = {&PROBLEM_BAD_REQUEST, "Exactly one valid Host header is required.", true},
    [HTTP_FAULT_LENGTH] = {&PROBLEM_BAD_REQUEST, "Content-Length must stand once and be a number.",
                           true},
    [HTTP_FAULT_LENGTH_AND_CODING] = {&PROBLEM_BAD_REQUEST,
                                      "Content-Length and Transfer-Encoding exclude each other.",
                                      true},
    [HTTP_FAULT_CODING] = {&PROBLEM_LENGTH_REQUIRED, NULL, true},
    [HTTP_FAULT_REPEATED] = {&PROBLEM_BAD_REQUEST,
                             "Content-Type and Idempotency-Key may stand once.", false},
    [HTTP_FAULT_AUTHORIZATION] = {&PROBLEM_BAD_AUTHORIZATION, NULL, false},
    [HTTP_FAULT_TOO_LARGE] = {&PROBLEM_HEAD_TOO_LARGE, NULL, true},
};

const struct problem_kind *http_fault_kind(enum http_fault fault) {
    return faults[fault].kind;
}

const char *http_fault_detail(enum http_fault fault) {
    return faults[fault].detail;
}

bool http_fault_closes(enum http_fault fault) {
    return faults[fault].closes;
}

bool http_edge_name_is(const char *bytes, const struct http_line *line, const char *name) {
    return equal_lower(bytes + line->name, line->name_length, name);
}

/* ---- values ---- */

enum http_credentials http_edge_bearer(struct http_text value, struct http_text *token) {
    static const size_t scheme_length = 6;
    const char *space = memchr(value.base, ' ', value.length);
    size_t first_length = space != NULL ? (size_t)(space - value.base) : value.length;
    if (first_length == 0)
        return HTTP_CREDENTIALS_MALFORMED;
    if (first_length != scheme_length || !equal_lower(value.base, scheme_length, "bearer"))
        return HTTP_CREDENTIALS_NONE;
    if (space == NULL)
        return HTTP_CREDENTIALS_MALFORMED;
    const char *base = space + 1;
    size_t length = value.length - scheme_length - 1;
    size_t padding = 0;
    while (padding < length && base[length - 1 - padding] == '=')
        padding++;
    if (padding == length || !all_of(base, length - padding, BYTE_B64TOKEN))
        return HTTP_CREDENTIALS_MALFORMED;
    *token = (struct http_text){base, length};
    return HTTP_CREDENTIALS_TOKEN;
}

bool http_edge_is_json(struct http_text content_type) {
    static const char json[] = "application/json";
    const char *at = content_type.base;
    const char *end = at + content_type.length;
    if (content_type.length < sizeof(json) - 1 || !equal_lower(at, sizeof(json) - 1, json))
        return false;
    at += sizeof(json) - 1;
    bool seen = false;
    for (;;) {
        while (at < end && is_space(*at))
            at++;
        if (at == end)
            return true;
        if (*at++ != ';' || seen)
            return false;
        while (at < end && is_space(*at))
            at++;
        if (at == end)
            return true;
        const char *start = at;
        while (at < end && *at != ';' && !is_space(*at))
            at++;
        size_t length = (size_t)(at - start);
        if (!equal_lower(start, length, "charset=utf-8") &&
            !equal_lower(start, length, "charset=\"utf-8\""))
            return false;
        seen = true;
    }
}

bool http_edge_request_id_valid(struct http_text value) {
    if (value.length == 0 || value.length > HTTP_REQUEST_ID_MAX)
        return false;
    for (size_t i = 0; i < value.length; i++) {
        char byte = lower(value.base[i]);
        if (!((byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9') || byte == '.' ||
              byte == '_' || byte == '-'))
            return false;
    }
    return true;
}

/* Lower-case hex digits, and not only zeros. */
static bool is_id(const char *digits, size_t length) {
    bool nonzero = false;
    for (size_t i = 0; i < length; i++) {
        if (hex_value(digits[i]) < 0 || lower(digits[i]) != digits[i])
            return false;
        nonzero = nonzero || digits[i] != '0';
    }
    return nonzero;
}

bool http_edge_trace_id(struct http_text value, struct http_text *trace_id) {
    enum { VERSION = 0, TRACE = 3, PARENT = 36, FLAGS = 53, LENGTH = 55 };
    const char *text = value.base;
    if (value.length < LENGTH || text[2] != '-' || text[PARENT - 1] != '-' ||
        text[FLAGS - 1] != '-')
        return false;
    bool version_zero = text[0] == '0' && text[1] == '0';
    if (!version_zero && !is_id(text + VERSION, 2))
        return false;
    if ((text[0] == 'f' && text[1] == 'f') || (version_zero && value.length != LENGTH) ||
        (value.length > LENGTH && text[LENGTH] != '-'))
        return false;
    if (!is_id(text + TRACE, HTTP_TRACE_ID_LENGTH) || !is_id(text + PARENT, 16) ||
        hex_value(text[FLAGS]) < 0 || hex_value(text[FLAGS + 1]) < 0)
        return false;
    *trace_id = (struct http_text){text + TRACE, HTTP_TRACE_ID_LENGTH};
    return true;
}

bool http_edge_decode(struct http_text in, bool plus_is_space, char *out, size_t *out_length) {
    size_t length = 0;
    for (size_t i = 0; i < in.length; i++) {
        char byte = in.base[i];
        if (byte == '%') {
            if (in.length - i < 3)
                return false;
            int high = hex_value(in.base[i + 1]);
            int low = hex_value(in.base[i + 2]);
            if (high < 0 || low < 0)
                return false;
            byte = (char)(high << 4 | low);
            i += 2;
        } else if (byte == '+' && plus_is_space) {
            byte = ' ';
        }
        if (byte == '\0')
            return false;
        out[length++] = byte;
    }
    *out_length = length;
    return true;
}

enum http_found http_edge_query(struct http_text query, const char *name, char *out,
                                size_t *out_length) {
    size_t name_length = strlen(name);
    enum http_found found = HTTP_FOUND_NONE;
    struct http_text value = {NULL, 0};
    for (size_t at = 0; at < query.length;) {
        const char *part = query.base + at;
        const char *end = memchr(part, '&', query.length - at);
        size_t part_length = end != NULL ? (size_t)(end - part) : query.length - at;
        at += part_length + 1;
        const char *equals = memchr(part, '=', part_length);
        struct http_text key = {part, equals != NULL ? (size_t)(equals - part) : part_length};
        size_t key_length = 0;
        if (!http_edge_decode(key, true, out, &key_length) || key_length != name_length ||
            memcmp(out, name, name_length) != 0)
            continue;
        if (found == HTTP_FOUND_ONE)
            return HTTP_FOUND_TWICE;
        found = HTTP_FOUND_ONE;
        if (equals != NULL)
            value = (struct http_text){equals + 1, part_length - key.length - 1};
        else
            value = (struct http_text){part + part_length, 0};
    }
    if (found == HTTP_FOUND_ONE && !http_edge_decode(value, true, out, out_length))
        return HTTP_FOUND_BAD;
    return found;
}
