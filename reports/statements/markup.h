/*
 * markup: the elements of an XML document as events, for the readers of camt.053 and OFX 2.
 *
 * libxml2's SAX parser, fed in pieces, with nothing of XML that a statement does not need: a
 * document type is refused where it begins, so there are no entities; nothing is loaded; depth,
 * length of a text and of a path are limited; no tree is ever built.
 */
#ifndef PACIOLI_STATEMENTS_MARKUP_H
#define PACIOLI_STATEMENTS_MARKUP_H

#include <stdbool.h>
#include <stddef.h>

#define MARKUP_DEPTH_MAX 40
#define MARKUP_TEXT_MAX  16384

struct markup_handler {
    /* The path is "/Document/Stmt/Ntry", local names. `currency`: the attribute Ccy, or "". */
    bool (*open)(void *owner, const char *path, const char *currency, unsigned line);
    /* `text`: what stood directly in the element. */
    bool (*close)(void *owner, const char *path, const char *text, size_t length, unsigned line);
    void *owner;
};

struct markup_error {
    unsigned line;
    const char *reason; /* NULL: a callback returned false */
};

bool markup_read(const char *bytes, size_t length, const struct markup_handler *handler,
                 struct markup_error *error);

#endif
