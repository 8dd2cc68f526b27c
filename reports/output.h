/*
 * output: where a report or an export goes: a file descriptor, buffered, every write checked; or
 * memory with a limit.  An error sticks: later writes do nothing, and the last check tells.
 */
#ifndef PACIOLI_REPORTS_OUTPUT_H
#define PACIOLI_REPORTS_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct output {
    int fd; /* -1: memory */
    char *bytes;
    size_t length, capacity;
    size_t bytes_max;       /* memory: beyond it the output has failed with EFBIG */
    uint64_t written_bytes; /* in all */
    int error;              /* errno of the first failure; 0: none */
    /* Sees every byte that went to the descriptor, in order; NULL: nobody does. */
    void (*on_written)(void *owner, const char *bytes, size_t length);
    void *owner;
};

void output_to_descriptor(struct output *output, int fd);
void output_to_memory(struct output *output, size_t bytes_max);
void output_bytes(struct output *output, const char *bytes, size_t length);
void output_text(struct output *output, const char *text);
void output_format(struct output *output, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Brings everything to the descriptor.  False: something failed, see `error`. */
__attribute__((warn_unused_result)) bool output_flush(struct output *output);
/* Frees the buffer; the descriptor stays open. */
void output_free(struct output *output);

#endif
