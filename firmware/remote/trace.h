/* The trace buffer of the resource table: text that whoever sees shared memory can read. */
#ifndef TRACE_H
#define TRACE_H

/* Empties it: memory holds anything after power-on. */
void trace_init(void);

/* Appends; at the end it goes on at the start. A NUL follows the newest character. */
void trace_put(char character);

#endif
