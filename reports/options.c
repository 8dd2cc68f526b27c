/* Design.  A small strict reader: what getopt_long accepts of abbreviations and order is too much.
 */
#include "reports/options.h"

#include <string.h>

#include "reports/source.h"

static const struct option_rule *find_rule(const struct option_rule *rules, size_t count,
                                           const char *argument, const char **value) {
    size_t length = strcspn(argument, "=");
    *value = argument[length] == '=' ? argument + length + 1 : NULL;
    for (size_t i = 0; i < count; i++) {
        if (strlen(rules[i].name) == length && memcmp(rules[i].name, argument, length) == 0)
            return &rules[i];
    }
    return NULL;
}

bool options_read(int argc, char **argv, const struct option_rule *rules, size_t rule_count,
                  const char **words, size_t words_max, size_t *word_count) {
    *word_count = 0;
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "--", 2) != 0) {
            if (*word_count == words_max) {
                source_complain("%s: unexpected argument %s; see %s --help", argv[0], argv[i],
                                argv[0]);
                return false;
            }
            words[(*word_count)++] = argv[i];
            continue;
        }
        const char *value;
        const struct option_rule *rule = find_rule(rules, rule_count, argv[i], &value);
        if (rule == NULL) {
            source_complain("%s: unknown option %s; see %s --help", argv[0], argv[i], argv[0]);
            return false;
        }
        if (*rule->value != NULL) {
            source_complain("%s: %s is given twice", argv[0], rule->name);
            return false;
        }
        if (rule->takes_value && value == NULL && i + 1 < argc)
            value = argv[++i];
        if (rule->takes_value != (value != NULL)) {
            source_complain("%s: %s takes %s value", argv[0], rule->name,
                            rule->takes_value ? "a" : "no");
            return false;
        }
        *rule->value = rule->takes_value ? value : "";
    }
    return true;
}

bool options_number(const char *option, const char *text, int64_t minimum, int64_t maximum,
                    int64_t *value) {
    int64_t number = 0;
    bool good = *text != '\0';
    for (const char *at = text; good && *at != '\0'; at++)
        good = *at >= '0' && *at <= '9' && !__builtin_mul_overflow(number, 10, &number) &&
               !__builtin_add_overflow(number, *at - '0', &number);
    if (!good || number < minimum || number > maximum) {
        source_complain("%s must be a whole number from %lld to %lld", option, (long long)minimum,
                        (long long)maximum);
        return false;
    }
    *value = number;
    return true;
}
