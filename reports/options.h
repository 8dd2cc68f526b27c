/*
 * options: the arguments of one command: long options, each with or without a value, and words.
 */
#ifndef PACIOLI_REPORTS_OPTIONS_H
#define PACIOLI_REPORTS_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct option_rule {
    const char *name;   /* "--as-of" */
    bool takes_value;   /* as "--as-of T" or "--as-of=T" */
    const char **value; /* set to the value, or to "" for an option without one */
};

/*
 * Reads argv[1..]; words go to words[0..*word_count - 1].  False: one line on standard error; an
 * option that is given twice, unknown, or without its value, or too many words.
 */
__attribute__((warn_unused_result)) bool options_read(int argc, char **argv,
                                                      const struct option_rule *rules,
                                                      size_t rule_count, const char **words,
                                                      size_t words_max, size_t *word_count);
/* A whole number within the bounds; false: one line on standard error. */
__attribute__((warn_unused_result)) bool options_number(const char *option, const char *text,
                                                        int64_t minimum, int64_t maximum,
                                                        int64_t *value);

#endif
