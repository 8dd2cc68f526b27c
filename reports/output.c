/*
 * Design.  One buffer.  To a descriptor it is emptied whenever 64 KiB are in it; in memory it grows
 * up to its limit.  After a failure it has no room, so that all that follows comes to output_more,
 * which does nothing then.
 */
#include "reports/output.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ledger_core/engine/money.h"
#include "service_kit/memory.h"

#define BUFFER_BYTES 65536

void output_to_descriptor(struct output *output, int fd) {
    *output = (struct output){
        .fd = fd, .bytes = memory_allocate(1, BUFFER_BYTES), .capacity = BUFFER_BYTES};
}

void output_to_memory(struct output *output, size_t bytes_max) {
    *output = (struct output){.fd = -1, .bytes_max = bytes_max};
}

static void fail(struct output *output, int error) {
    output->error = error;
    output->length = output->capacity = 0;
}

static bool empty_buffer(struct output *output) {
    size_t done = 0;
    while (done < output->length) {
        ssize_t written = write(output->fd, output->bytes + done, output->length - done);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0) {
            fail(output, errno);
            return false;
        }
        if (output->on_written != NULL)
            output->on_written(output->owner, output->bytes + done, (size_t)written);
        done += (size_t)written;
        output->written_bytes += (size_t)written;
    }
    output->length = 0;
    return true;
}

static bool make_room(struct output *output, size_t more) {
    if (output->fd < 0 && more > output->bytes_max - output->length) {
        fail(output, EFBIG);
        return false;
    }
    if (output->length + more <= output->capacity)
        return true;
    if (output->fd >= 0)
        return empty_buffer(output);
    size_t capacity = output->capacity == 0 ? 4096 : output->capacity;
    while (capacity < output->length + more)
        capacity *= 2;
    if (capacity > output->bytes_max)
        capacity = output->bytes_max; /* the limit is the buffer's end */
    output->bytes = memory_resize(output->bytes, capacity);
    output->capacity = capacity;
    return true;
}

void output_more(struct output *output, const char *bytes, size_t length) {
    while (length > 0 && output->error == 0) {
        size_t part = length;
        if (output->fd >= 0 && part > BUFFER_BYTES)
            part = BUFFER_BYTES;
        if (!make_room(output, part))
            return;
        memcpy(output->bytes + output->length, bytes, part);
        output->length += part;
        bytes += part;
        length -= part;
    }
}

void output_number(struct output *output, int64_t number) {
    char text[MONEY_TEXT_MAX];
    output_bytes(output, text, money_format(number, 0, text));
}

void output_format(struct output *output, const char *format, ...) {
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length >= sizeof(text))
        abort(); /* for short texts of our own alone */
    output_bytes(output, text, (size_t)length);
}

bool output_flush(struct output *output) {
    return output->error == 0 && (output->fd < 0 || empty_buffer(output));
}

void output_free(struct output *output) {
    free(output->bytes);
    output->bytes = NULL;
    output->length = output->capacity = 0;
}
