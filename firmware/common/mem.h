/* The memory functions that compilers call on their own, and the string functions used here. */
#ifndef MEM_H
#define MEM_H

#include <stdbool.h>
#include <stddef.h>

void *memcpy(void *restrict to, const void *restrict from, size_t size);
void *memmove(void *to, const void *from, size_t size);
void *memset(void *to, int value, size_t size);
int memcmp(const void *a, const void *b, size_t size);

size_t string_length(const char *text);
bool string_equal(const char *a, const char *b);

#endif
