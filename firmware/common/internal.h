/* What the parts of a board share with each other, and the portable code does not see. */
#ifndef INTERNAL_H
#define INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "core.h"

/* Set by every interrupt handler: board_sleep() is not to sleep over what has happened. */
extern volatile bool board_woken;

void interrupt_enable(unsigned line);

void console_init(void);
void mailbox_init(void);

/* Vectors. */
void console_interrupt(void);
void mailbox_interrupt(void);
void alarm_tick(void);

#endif
