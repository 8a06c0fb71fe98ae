#include "text.h"

#include <stdbool.h>
#include <stdint.h>

#include "board.h"
#include "mem.h"

static void put_number(text_sink *put, uint32_t value, uint32_t base, unsigned width)
{
    char digits[10]; /* 4294967295 */
    unsigned count = 0;

    do {
        digits[count++] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value != 0);
    for (unsigned pad = count; pad < width; pad++) {
        put('0');
    }
    while (count > 0) {
        put(digits[--count]);
    }
}

static void put_string(text_sink *put, const char *text)
{
    while (*text != '\0') {
        put(*text++);
    }
}

void text_format(text_sink *put, const char *format, va_list arguments)
{
    for (; *format != '\0'; format++) {
        unsigned width = 0;

        if (*format != '%') {
            put(*format);
            continue;
        }
        format++;
        while (*format >= '0' && *format <= '9') {
            width = width * 10 + (unsigned)(*format++ - '0');
        }
        switch (*format) {
        case 's':
            put_string(put, va_arg(arguments, const char *));
            break;
        case 'c':
            put((char)va_arg(arguments, int));
            break;
        case 'd': {
            int value = va_arg(arguments, int);

            if (value < 0) {
                put('-');
            }
            put_number(put, value < 0 ? 0u - (uint32_t)value : (uint32_t)value, 10, width);
            break;
        }
        case 'u':
            put_number(put, va_arg(arguments, unsigned), 10, width);
            break;
        case 'x':
            put_number(put, va_arg(arguments, unsigned), 16, width);
            break;
        case '\0':
            return;
        default:
            put(*format);
        }
    }
}

static void put_console(char character)
{
    if (character == '\n') {
        console_write("\r", 1);
    }
    console_write(&character, 1);
}

void console_print(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    text_format(put_console, format, arguments);
    va_end(arguments);
}
