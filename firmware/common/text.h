/* A small formatter: %s %c %d %u %x %%, a zero-padded width as in %08x, and nothing else. */
#ifndef TEXT_H
#define TEXT_H

#include <stdarg.h>

#include "config.h"

typedef void text_sink(char character);

void text_format(text_sink *put, const char *format, va_list arguments);

/* Prints a line of this core's log: main.c of each core defines where it goes. */
void log_line(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Prints to the console only. */
void console_print(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The one way to print: without prints the compiler drops the call and its text, and still checks both. */
#define LOG(...) do { if (CONFIG_PRINTS) { log_line(__VA_ARGS__); } } while (0)
#define PRINT(...) do { if (CONFIG_PRINTS) { console_print(__VA_ARGS__); } } while (0)

#endif
