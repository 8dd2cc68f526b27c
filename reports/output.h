/*
 * output: where a report or an export goes: a file descriptor, buffered, every write checked; or
 * memory with a limit.  An error sticks: later writes do nothing, and the last check tells.
 */
#ifndef PACIOLI_REPORTS_OUTPUT_H
#define PACIOLI_REPORTS_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct output {
    int fd; /* -1: memory */
    char *bytes;
    size_t length, capacity;
    size_t bytes_max;       /* memory: beyond it the output has failed with EFBIG */
    uint64_t written_bytes; /* to the descriptor, in all */
    int error;              /* errno of the first failure; 0: none */
    /* Sees every byte that went to the descriptor, in order; NULL: nobody does. */
    void (*on_written)(void *owner, const char *bytes, size_t length);
    void *owner;
};

void output_to_descriptor(struct output *output, int fd);
void output_to_memory(struct output *output, size_t bytes_max);
/* output_bytes for what the buffer has no room for. */
void output_more(struct output *output, const char *bytes, size_t length);
static inline void output_bytes(struct output *output, const char *bytes, size_t length) {
    if (length < output->capacity - output->length) {
        memcpy(output->bytes + output->length, bytes, length);
        output->length += length;
    } else {
        output_more(output, bytes, length);
    }
}
static inline void output_text(struct output *output, const char *text) {
    output_bytes(output, text, strlen(text));
}
void output_number(struct output *output, int64_t number);
void output_format(struct output *output, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Brings everything to the descriptor.  False: something failed, see `error`. */
__attribute__((warn_unused_result)) bool output_flush(struct output *output);
/* Frees the buffer; the descriptor stays open. */
void output_free(struct output *output);

#endif
