/*
 * Design.  Strict: digits in their places, the ranges of the calendar, an explicit zone.  The rest
 * is arithmetic on microseconds since 1970.
 */
#include "reports/moment.h"

#include <stdio.h>

#define DAY_US    (86400LL * 1000000)
#define MINUTE_US (60LL * 1000000)

struct scanner {
    const char *at, *end;
};

static bool take(struct scanner *scanner, char wanted) {
    if (scanner->at == scanner->end || *scanner->at != wanted)
        return false;
    scanner->at++;
    return true;
}

static bool digits(struct scanner *scanner, int count, int minimum, int maximum, int *value) {
    *value = 0;
    for (int i = 0; i < count; i++) {
        if (scanner->at == scanner->end || *scanner->at < '0' || *scanner->at > '9')
            return false;
        *value = *value * 10 + (*scanner->at++ - '0');
    }
    return *value >= minimum && *value <= maximum;
}

static bool leap(int year) {
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static int days_in(int year, int month) {
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return month == 2 && leap(year) ? 29 : days[month - 1];
}

/* Days since 1970-01-01. */
static int64_t day_number(int year, int month, int day) {
    int64_t number = day - 1;
    for (int y = 1970; y < year; y++)
        number += leap(y) ? 366 : 365;
    for (int m = 1; m < month; m++)
        number += days_in(year, m);
    return number;
}

static bool fraction(struct scanner *scanner, int64_t *us) {
    *us = 0;
    if (!take(scanner, '.'))
        return true;
    int64_t unit = 100000;
    int count = 0;
    while (scanner->at < scanner->end && *scanner->at >= '0' && *scanner->at <= '9') {
        if (++count > 6)
            return false;
        *us += unit * (*scanner->at++ - '0');
        unit /= 10;
    }
    return count > 0;
}

static bool zone(struct scanner *scanner, int64_t *offset_us) {
    *offset_us = 0;
    if (take(scanner, 'Z') || take(scanner, 'z'))
        return true;
    int sign = take(scanner, '+') ? 1 : take(scanner, '-') ? -1 : 0;
    int hours, minutes;
    if (sign == 0 || !digits(scanner, 2, 0, 23, &hours) || !take(scanner, ':') ||
        !digits(scanner, 2, 0, 59, &minutes))
        return false;
    *offset_us = sign * (hours * 60 + minutes) * MINUTE_US;
    return true;
}

static void format(int64_t us, char out[static MOMENT_TEXT_SIZE]) {
    int64_t day = us / DAY_US, rest = us % DAY_US;
    int year = 1970, month = 1;
    while (day >= (leap(year) ? 366 : 365))
        day -= leap(year++) ? 366 : 365;
    while (day >= days_in(year, month))
        day -= days_in(year, month++);
    int64_t seconds = rest / 1000000;
    /* The masks tell the compiler what the arithmetic has made sure of. */
    snprintf(out, MOMENT_TEXT_SIZE, "%04u-%02u-%02uT%02u:%02u:%02u.%06uZ", (unsigned)year % 10000U,
             (unsigned)month % 100U, (unsigned)(day + 1) % 100U, (unsigned)(seconds / 3600) % 100U,
             (unsigned)(seconds / 60 % 60) % 100U, (unsigned)(seconds % 60) % 100U,
             (unsigned)(rest % 1000000) % 1000000U);
}

bool moment_parse_us(const char *text, size_t length, enum moment_edge edge, int64_t *us) {
    struct scanner scanner = {text, text + length};
    int year, month, day, hour, minute, second;
    if (!digits(&scanner, 4, 1970, 9998, &year) || !take(&scanner, '-') ||
        !digits(&scanner, 2, 1, 12, &month) || !take(&scanner, '-') ||
        !digits(&scanner, 2, 1, days_in(year, month), &day))
        return false;
    *us = day_number(year, month, day) * DAY_US;
    if (scanner.at == scanner.end) {
        *us += edge == MOMENT_END ? DAY_US : 0;
        return true;
    }
    int64_t part_us, offset_us;
    if (!(take(&scanner, 'T') || take(&scanner, 't')) || !digits(&scanner, 2, 0, 23, &hour) ||
        !take(&scanner, ':') || !digits(&scanner, 2, 0, 59, &minute) || !take(&scanner, ':') ||
        !digits(&scanner, 2, 0, 59, &second) || !fraction(&scanner, &part_us) ||
        !zone(&scanner, &offset_us) || scanner.at != scanner.end)
        return false;
    *us += (hour * 60 + minute) * MINUTE_US + second * 1000000LL + part_us - offset_us;
    return *us >= 0;
}

bool moment_parse(const char *text, size_t length, enum moment_edge edge,
                  char out[static MOMENT_TEXT_SIZE]) {
    int64_t us;
    if (!moment_parse_us(text, length, edge, &us))
        return false;
    format(us, out);
    return true;
}
