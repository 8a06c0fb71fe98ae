/* The page that the engine and its plugin share. Python reads this file: control.py makes its structure from it, and the
 * build checks that each field lies where Python takes it to be.
 */
#ifndef RPTWIN_CONTROL_H
#define RPTWIN_CONTROL_H

#include <stddef.h>
#include <stdint.h>

#define CORES 2
#define SPANS 64
#define PROBES 16
#define COPIED 262144 /* bytes */

struct span {
    uint32_t start, end;
};

struct probe {
    uint32_t start, end; /* after a store into this */
    uint32_t core, word; /* this word is read as that core sees it */
};

struct extent {
    uint32_t start, size;
};

struct control {
    uint64_t until_ns; /* engine: stop then */
    uint64_t turn;     /* engine: instructions of a turn */
    uint64_t shift;    /* engine: an instruction takes 1 << shift ns */
    uint64_t now_ns;   /* plugin: when the machine stopped */
    uint64_t executed[CORES];
    uint32_t span_count, probe_count;
    struct span spans[SPANS];    /* stores into these are logged */
    struct probe probes[PROBES]; /* words that are read after stores */
    uint32_t dump_count;
    struct extent dumps[SPANS]; /* saved when QEMU aborts */
    uint32_t copy_count;
    struct extent copies[SPANS]; /* memory, as the first core sees it, copied one after the other at each stop */
    uint8_t copied[COPIED];
};

#endif
