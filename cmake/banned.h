/*
 * Functions that this project does not call. The build force-includes this file into each of our
 * own sources (cmake/flags.cmake).
 *
 * Each function is declared again with a deprecation that says what to use instead, and the build
 * makes that an error. Unlike a macro or a poisoned name this leaves the inline functions of
 * system headers alone. alloca() is a macro in glibc and is banned with -Walloca.
 */
#ifndef PACIOLI_BANNED_H
#define PACIOLI_BANNED_H

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PACIOLI_BANNED(instead) __attribute__((deprecated("banned: " instead)))

/* No bound on the destination, or a bound that may leave it without its NUL. */
PACIOLI_BANNED("use memcpy with a checked length")
char *strcpy(char *restrict to, const char *restrict from);
PACIOLI_BANNED("use memcpy with a checked length")
char *strncpy(char *restrict to, const char *restrict from, size_t size);
PACIOLI_BANNED("use memcpy with a checked length")
char *stpcpy(char *restrict to, const char *restrict from);
PACIOLI_BANNED("use memcpy with a checked length")
char *strcat(char *restrict to, const char *restrict from);
PACIOLI_BANNED("use memcpy with a checked length")
char *strncat(char *restrict to, const char *restrict from, size_t size);
PACIOLI_BANNED("use snprintf and check its result")
int sprintf(char *restrict to, const char *restrict format, ...);
PACIOLI_BANNED("use vsnprintf and check its result")
int vsprintf(char *restrict to, const char *restrict format, va_list arguments);

/* Hidden state that threads share. */
PACIOLI_BANNED("use strtok_r or memchr")
char *strtok(char *restrict text, const char *restrict separators);
PACIOLI_BANNED("use gmtime_r")
struct tm *gmtime(const time_t *clock);
PACIOLI_BANNED("use gmtime_r: all times are UTC")
struct tm *localtime(const time_t *clock);
PACIOLI_BANNED("use strftime")
char *ctime(const time_t *clock);
PACIOLI_BANNED("use strftime")
char *asctime(const struct tm *broken_down);

/* Numbers read without a word about errors, or through a double. */
PACIOLI_BANNED("use a parser that reports errors")
int atoi(const char *text);
PACIOLI_BANNED("use a parser that reports errors")
long atol(const char *text);
PACIOLI_BANNED("use a parser that reports errors")
long long atoll(const char *text);
PACIOLI_BANNED("money never passes through a double")
double atof(const char *text);
PACIOLI_BANNED("money never passes through a double")
double strtod(const char *restrict text, char **restrict end);
PACIOLI_BANNED("money never passes through a double")
float strtof(const char *restrict text, char **restrict end);
PACIOLI_BANNED("money never passes through a double")
long double strtold(const char *restrict text, char **restrict end);
PACIOLI_BANNED("use a parser that reports errors")
int sscanf(const char *restrict text, const char *restrict format, ...);

/* Predictable numbers, and the shell. */
PACIOLI_BANNED("use getrandom or RAND_bytes")
int rand(void);
PACIOLI_BANNED("use getrandom or RAND_bytes")
void srand(unsigned int seed);
PACIOLI_BANNED("use getrandom or RAND_bytes")
long random(void);
PACIOLI_BANNED("start a program with posix_spawn")
int system(const char *command);
PACIOLI_BANNED("start a program with posix_spawn")
FILE *popen(const char *command, const char *mode);

#endif
