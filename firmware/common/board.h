/* What the portable code asks of a board; boards/NAME/ implements it, once for each core. */
#ifndef BOARD_H
#define BOARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Clocks, caches, console, mailbox; interrupts are live when it returns. */
void board_init(void);

/* Sleeps until an interrupt has been handled since the last call; returns at once when one has. */
void board_sleep(void);

/* Blocks until every byte is in the transmitter. Works with interrupts masked, so in fault handlers too. */
void console_write(const char *text, size_t length);

/* The next received byte, or -1. */
int console_read(void);

/* Interrupts the other core. What was stored before is visible to it first. */
void mailbox_signal(void);

/* Whether the other core has signalled since the last call. A signal from before board_init() counts. */
bool mailbox_take(void);

/* One alarm in whole milliseconds; no timer runs unless it is armed. */
void alarm_arm(uint32_t milliseconds);
bool alarm_has_expired(void);
void alarm_disarm(void);

#endif
