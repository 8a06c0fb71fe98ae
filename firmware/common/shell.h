/* Line editing for the console: characters in, words out. */
#ifndef SHELL_H
#define SHELL_H

#include <stdbool.h>
#include <stdint.h>

/* Called with the first word of a line, never empty, and what follows it. */
typedef void shell_command(const char *name, char *rest);

/* The prompt is shown after each line, so that logs of the bring-up stand on lines of their own. */
void shell_init(const char *prompt);
void shell_prompt(void);

/* Handles what has been received. */
void shell_poll(shell_command *command);

/* Cuts the next word off; "" when there is none. */
const char *shell_word(char **rest);

/* A decimal number of at most six digits; false when the word is something else. */
bool shell_number(const char *word, uint32_t *value);

#endif
