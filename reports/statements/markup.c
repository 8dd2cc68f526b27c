/*
 * Design: three SAX callbacks and a path.  The path is one text that grows at an element's start
 * and shrinks at its end; so does nothing else, whatever the document's size.  A document type
 * reaches `on_document_type` before its first declaration is read, and ends the parsing there.
 */
#include "reports/statements/markup.h"

#include <libxml/parser.h>
#include <string.h>

#define PATH_MAX_BYTES 1024
#define PIECE_SIZE     65536

struct reading {
    const struct markup_handler *handler;
    struct markup_error *error;
    xmlParserCtxtPtr parser;
    bool stopped;
    unsigned depth;
    size_t path_ends[MARKUP_DEPTH_MAX + 1];
    char path[PATH_MAX_BYTES];
    char text[MARKUP_TEXT_MAX + 1];
    size_t text_length;
};

static unsigned line_of(const struct reading *reading) {
    const int line = xmlSAX2GetLineNumber(reading->parser);
    return line < 0 ? 0 : (unsigned)line;
}

static void stop(struct reading *reading, const char *reason) {
    if (!reading->stopped) {
        reading->stopped = true;
        reading->error->line = line_of(reading);
        reading->error->reason = reason;
        xmlStopParser(reading->parser);
    }
}

static void on_document_type(void *context, const xmlChar *name, const xmlChar *external,
                             const xmlChar *system) {
    (void)name, (void)external, (void)system;
    stop(context, "has a document type, which is refused");
}

static xmlEntityPtr on_entity(void *context, const xmlChar *name) {
    (void)name;
    stop(context, "has an entity, which is refused");
    return NULL;
}

/* Copies the value of the attribute Ccy; too long a one becomes "?", which is no currency. */
static void read_currency(int count, const xmlChar **attributes, char currency[static 17]) {
    currency[0] = '\0';
    for (int i = 0; i < count; i++) {
        const xmlChar **attribute = attributes + (size_t)i * 5;
        if (strcmp((const char *)attribute[0], "Ccy") == 0) {
            const size_t length = (size_t)(attribute[4] - attribute[3]);
            memcpy(currency, length > 16 ? (const xmlChar *)"?" : attribute[3],
                   length > 16 ? 1 : length);
            currency[length > 16 ? 1 : length] = '\0';
        }
    }
}

static void on_start(void *context, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri,
                     int namespace_count, const xmlChar **namespaces, int attribute_count,
                     int defaulted, const xmlChar **attributes) {
    (void)prefix, (void)uri, (void)namespace_count, (void)namespaces, (void)defaulted;
    struct reading *reading = context;
    if (reading->stopped) {
        return;
    }
    const size_t used = reading->path_ends[reading->depth];
    const size_t length = strlen((const char *)name);
    if (reading->depth == MARKUP_DEPTH_MAX) {
        stop(reading, "is nested more than 40 deep");
        return;
    }
    if (length + 2 > sizeof(reading->path) - used) {
        stop(reading, "has too long names");
        return;
    }
    reading->path[used] = '/';
    memcpy(reading->path + used + 1, name, length + 1);
    reading->path_ends[++reading->depth] = used + 1 + length;
    reading->text_length = 0;
    char currency[17];
    read_currency(attribute_count, attributes, currency);
    if (!reading->handler->open(reading->handler->owner, reading->path, currency,
                                line_of(reading))) {
        stop(reading, NULL);
    }
}

static void on_end(void *context, const xmlChar *name, const xmlChar *prefix, const xmlChar *uri) {
    (void)name, (void)prefix, (void)uri;
    struct reading *reading = context;
    if (reading->stopped || reading->depth == 0) {
        return;
    }
    reading->text[reading->text_length] = '\0';
    if (!reading->handler->close(reading->handler->owner, reading->path, reading->text,
                                 reading->text_length, line_of(reading))) {
        stop(reading, NULL);
        return;
    }
    reading->depth--;
    reading->path[reading->path_ends[reading->depth]] = '\0';
    reading->text_length = 0;
}

static void on_characters(void *context, const xmlChar *text, int length) {
    struct reading *reading = context;
    const size_t more = (size_t)length;
    if (reading->stopped) {
        return;
    }
    if (more > MARKUP_TEXT_MAX - reading->text_length) {
        stop(reading, "has too long a text");
        return;
    }
    memcpy(reading->text + reading->text_length, text, more);
    reading->text_length += more;
}

/* libxml2 would write to standard error. */
static void on_message(void *context, const char *format, ...) {
    (void)context, (void)format;
}

bool markup_read(const char *bytes, size_t length, const struct markup_handler *handler,
                 struct markup_error *error) {
    xmlSAXHandler sax = {.initialized = XML_SAX2_MAGIC,
                         .internalSubset = on_document_type,
                         .externalSubset = on_document_type,
                         .getEntity = on_entity,
                         .startElementNs = on_start,
                         .endElementNs = on_end,
                         .characters = on_characters,
                         .cdataBlock = on_characters,
                         .ignorableWhitespace = on_characters,
                         .error = on_message,
                         .warning = on_message,
                         .fatalError = on_message};
    static _Thread_local struct reading reading;
    reading = (struct reading){.handler = handler, .error = error};
    *error = (struct markup_error){0};
    /* The first four bytes tell the encoding. */
    const size_t head = length < 4 ? length : 4;
    reading.parser = xmlCreatePushParserCtxt(&sax, &reading, bytes, (int)head, NULL);
    if (reading.parser == NULL) {
        error->reason = "there is no memory to read it";
        return false;
    }
    (void)xmlCtxtUseOptions(reading.parser, XML_PARSE_NONET | XML_PARSE_NOCDATA);
    bool well = true;
    for (size_t at = head; at < length && well && !reading.stopped;) {
        const size_t piece = length - at < PIECE_SIZE ? length - at : PIECE_SIZE;
        well = xmlParseChunk(reading.parser, bytes + at, (int)piece, 0) == 0;
        at += piece;
    }
    if (well && !reading.stopped) {
        well = xmlParseChunk(reading.parser, NULL, 0, 1) == 0;
    }
    if (!well && !reading.stopped) {
        error->line = line_of(&reading);
        error->reason = "is not well-formed XML";
    }
    xmlFreeParserCtxt(reading.parser);
    reading.parser = NULL;
    return well && !reading.stopped;
}
