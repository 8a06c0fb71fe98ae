#include "shell.h"

#include "board.h"
#include "text.h"

static char line[80];
static unsigned length;
static const char *prompt_text;

void shell_init(const char *prompt)
{
    prompt_text = prompt;
}

void shell_prompt(void)
{
    PRINT("%s", prompt_text);
}

const char *shell_word(char **rest)
{
    char *word;

    while (**rest == ' ') {
        (*rest)++;
    }
    word = *rest;
    while (**rest != ' ' && **rest != '\0') {
        (*rest)++;
    }
    if (**rest == ' ') {
        *(*rest)++ = '\0';
    }
    return word;
}

static void finish(shell_command *command)
{
    char *rest = line;
    const char *name;

    PRINT("\n");
    line[length] = '\0';
    length = 0;
    name = shell_word(&rest);
    if (*name != '\0') {
        command(name, rest);
    }
    shell_prompt();
}

void shell_poll(shell_command *command)
{
    static bool after_cr; /* CR LF ends one line, not two */

    for (int byte = console_read(); byte >= 0; byte = console_read()) {
        if (byte == '\r' || (byte == '\n' && !after_cr)) {
            finish(command);
        } else if ((byte == '\b' || byte == 0x7F) && length > 0) {
            length--;
            PRINT("\b \b");
        } else if (byte >= ' ' && byte < 0x7F && length < sizeof line - 1) {
            line[length++] = (char)byte;
            PRINT("%c", byte);
        }
        after_cr = byte == '\r';
    }
}

bool shell_number(const char *word, uint32_t *value)
{
    uint32_t number = 0;
    unsigned digits = 0;

    for (; word[digits] >= '0' && word[digits] <= '9' && digits < 6; digits++) {
        number = number * 10 + (uint32_t)(word[digits] - '0');
    }
    *value = number;
    return digits > 0 && word[digits] == '\0';
}
