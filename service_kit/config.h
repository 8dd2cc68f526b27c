/*
 * config: settings by environment variable or a `.env` file in the working directory; the
 * environment wins.  A table of `config_setting` describes every variable, so that loading,
 * `--check-config`, `--help` and the README's table have one source.  Values of secrets are never
 * printed, nor put in an error.
 */
#ifndef PACIOLI_SERVICE_KIT_CONFIG_H
#define PACIOLI_SERVICE_KIT_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum config_type {
    CONFIG_TEXT,    /* target: const char * (owned by the config) */
    CONFIG_INTEGER, /* target: int64_t, within minimum..maximum */
    CONFIG_BOOLEAN, /* target: bool; true/false/1/0/yes/no/on/off */
    CONFIG_CHOICE,  /* target: const char *, one of `choices` ("a|b|c") */
};

struct config_setting {
    const char *name;  /* environment variable */
    const char *alias; /* another name for it, or NULL; `name` wins */
    enum config_type type;
    const char *default_value; /* NULL: required */
    bool secret;
    int64_t minimum, maximum; /* INTEGER: range; TEXT: length in bytes, maximum 0 = 4096 */
    const char *choices;
    const char *help; /* one line */
    size_t offset;    /* of the target in the caller's struct */
};

struct config; /* owns the texts */

/*
 * Fills `target` (a struct of the caller's) from the environment and `env_file` (skipped when it
 * does not exist).  On failure returns NULL and one line in `error` that names the variable and
 * the rule.
 */
struct config *config_load(const struct config_setting *settings, size_t count,
                           const char *env_file, void *target, char *error, size_t error_size);
void config_free(struct config *config);

/* The table as text for --help, and the effective values (secrets as "(set)") for --check-config.
 */
void config_print_help(const struct config_setting *settings, size_t count);
void config_print_values(const struct config_setting *settings, size_t count, const void *target);

#endif
