/* What the hooks and Python share. Python reads this file: abi.py makes its own structures from it, and the build checks
 * that each field lies where Python takes it to be. A struct here has one field, or fields of one type, to a line.
 */
#ifndef RPTWIN_ABI_H
#define RPTWIN_ABI_H

#include <stddef.h>
#include <stdint.h>

typedef int (*emu_stop_fn)(void *uc);
typedef int (*emu_start_fn)(void *uc, uint64_t begin, uint64_t until, uint64_t timeout, size_t count);
typedef int (*reg_read_fn)(void *uc, int id, void *value);
typedef int (*reg_write_fn)(void *uc, int id, const void *value);
typedef int (*reg_read_batch_fn)(void *uc, int *ids, void **values, int count);
typedef int (*reg_write_batch_fn)(void *uc, int *ids, void **values, int count);
typedef int (*mem_read_fn)(void *uc, uint64_t address, void *bytes, uint64_t size);
typedef int (*ctl_fn)(void *uc, int control, ...);
typedef _Bool (*protected_fn)(void *uc, int type, uint64_t address, int size, int64_t value, void *user);
typedef uint64_t (*slow_read_fn)(uint32_t address, uint32_t size);
typedef void (*slow_write_fn)(uint32_t address, uint32_t size, uint64_t value);
typedef void (*tell_fn)(void);
typedef void (*interrupt_fn)(uint32_t interrupt);

#define PAGE_SHIFT 10 /* an M-profile page is 1 KB */
#define PAGE_MASK 1023
#define NO_PAGE 0xFFFFF000u /* nothing executes there */
#define NO_ADDRESS 0xFFFFFFFEu /* emu_start's `until`: no instruction can stand there */
enum { UNSEEN = 0, SEEN = 1, FIRST_BITS = 2 }; /* values of a page's mark; from 2 on: index of its bits + 2 */
enum { MASKS = 3 }; /* PRIMASK, BASEPRI, FAULTMASK */
enum { REGISTERS = 16 };

/* Why core_run() came back. */
enum { EXIT_BUDGET, EXIT_NEW_PAGE, EXIT_SPECIAL, EXIT_UNMASKED, EXIT_OTHER, EXIT_DENIED, EXIT_TRAP };
/* What made it EXIT_TRAP. */
enum { TRAP_DIVISION = 1, TRAP_UNALIGNED = 2, TRAP_STACK_POINTER = 4, TRAP_UNDEFINED = 8 };

/* One bit per halfword of a page. */
struct bits {
    uint8_t stop[64];       /* a debugger's breakpoint */
    uint8_t look[64];       /* that, and what kind_of() calls other than plain or floating-point */
    uint8_t look_fp[64];    /* that, and floating-point instructions */
    const uint16_t *code;   /* the page itself */
    uint32_t behind;        /* the halfword behind it, for an instruction across the border */
    uint32_t live;          /* a store may change it: look at every instruction */
    uint32_t float_alone;   /* `look` is empty */
};

/* Memory as it is reached from here: the bytes, and which of its pages hold code that some core has translated. */
struct window {
    uint64_t start, end;
    uint8_t *bytes;
    const uint8_t *code; /* one byte per page; null: no store changes this memory */
    struct tracked *tracked; /* the same memory in each data cache that is modelled; null: in none */
};

/* A data cache as software sees it: cache.c has the model. Masks of a line have a bit for each of its bytes. */
#define LINE_SHIFT 5
#define LINE_BYTES 32
#define LINE_WORDS 8
/* How memory is cached for a core: not at all, write-through, write-back without and with allocation by a write. */
enum { UNCACHED, WRITE_THROUGH, WRITE_BACK, WRITE_ALLOCATE };
enum { CLEAN = 1, INVALIDATE = 2 };
enum { STALE_READ = 1, STAYED, DESTROYED, OVERWRITES, TOO_EARLY, STALE_CODE };
#define A_DEVICE 0xFFFFFFFFu /* in the place of a core's number */

/* Who did something, and when. */
struct doing {
    uint64_t executed; /* of that core */
    uint32_t pc, who;
};

/* A line of one region in one cache; of the model that keeps memory coherent (not `real`) it may stay for ever. */
struct line {
    uint32_t held;       /* in the cache */
    uint32_t dirty;      /* written here, and not in memory */
    uint32_t stale;      /* written by others since it was fetched */
    uint32_t stale_told; /* of them: the read was told */
    uint32_t dirty_told; /* of what is dirty: another's read was told */
    uint32_t lost;       /* dirty when it was invalidated, and not written since */
    uint32_t early;      /* written by others since it was invalidated, and not invalidated since */
    uint32_t invalidated;
    struct doing fetched, gone, loser;
    struct doing written[LINE_WORDS]; /* of each word: here, and by others */
    struct doing other[LINE_WORDS];
};

/* What was found: `by` noticed it, `of` wrote the bytes, `since` is the step between: fetched, invalidated, written. */
struct incoherence {
    uint32_t kind, address, mask, reserved; /* of the line, as the core with the cache addresses it */
    struct doing by, of, since;
};

/* A region of memory as one data cache may hold it. */
struct tracked {
    struct cache *cache;
    struct tracked *next;  /* the same region in the next cache */
    struct line *lines;
    uint8_t *bytes;        /* what memory holds */
    uint8_t *content;      /* what the lines hold; null: what memory holds */
    uint8_t *pages;        /* whether a line of a page of 1 KB was ever held or invalidated */
    const uint8_t *code;   /* as of `struct window` */
    uint32_t start, size;  /* by the addresses of the core with the cache */
    uint32_t code_changed; /* a line was written back over code */
    uint32_t reserved;
};

/* A way of a set. */
struct way {
    struct tracked *tracked; /* null: free */
    uint32_t line;
    uint32_t reserved;
};

struct cache {
    struct core *core;
    const uint32_t *starts; /* `kinds[i]` holds from `starts[i]` to the next start */
    const uint8_t *kinds;
    uint32_t count;
    uint32_t on;            /* CCR.DC, or CCR.IC */
    uint32_t real;          /* the core sees what its cache holds, and lines leave it */
    uint32_t off;           /* what runs now ran before */
    uint32_t sets, ways;
    struct way *resident;   /* of all sets, if `real` */
    uint64_t random;
    uint32_t found_count, found_capacity;
    uint32_t missed;        /* no room for what was found */
    uint32_t fetches;       /* an instruction cache: it holds what was fetched, and data go past it */
    struct incoherence *found;
};

#define MOST_REGIONS 16
#define KNOWN_PROTECTIONS 256

/* What decides what the MPU grants: MPU_CTRL, and of each region MPU_RBAR and MPU_RASR or MPU_RLAR. */
struct mpu_registers {
    uint32_t control;
    uint32_t base[MOST_REGIONS], second[MOST_REGIONS];
};

/* What they grant. */
struct protection {
    const uint32_t *starts; /* as of `struct guard` */
    const uint8_t *granted;
    uint32_t count;         /* 0: nothing is known here */
    uint32_t map;           /* its number */
    struct mpu_registers registers;
    uint32_t reserved;
};

/* The MPU of a core; mpu.py says what its registers mean. */
struct mpu {
    struct mpu_registers registers;
    uint32_t number;        /* MPU_RNR */
    uint32_t count, armv8;
    uint32_t stale;         /* what is enforced is not what they say */
    uint32_t enforced;      /* it has been enabled */
    uint32_t known_count;
    uint32_t reserved;
    struct protection known[KNOWN_PROTECTIONS];
};

/* What the MPU grants, and what the hooks need to enforce it. `granted[i]` holds from `starts[i]` to the next start:
 * READ, WRITE, EXECUTE for privileged code, and the same shifted by UNPRIVILEGED. */
struct guard {
    uint32_t on;            /* the TLB is filled by guard_on_tlb_fill */
    uint32_t watch_faultmask; /* stop after an instruction that changes FAULTMASK */
    uint32_t count;
    uint32_t window_count;
    const uint32_t *starts;
    const uint8_t *granted;
    const struct window *windows; /* by address */
    const uint8_t *devices; /* one byte per page of the address space: a device answers there; null: none */
    uint32_t stub;          /* a page that is not the guest's */
    int32_t control_id, ipsr_id;
    mem_read_fn mem_read;
    ctl_fn ctl;
    int32_t flush_tlb;      /* the control that drops the TLB */
    int32_t flush_code, remove_code, request_code; /* all translations; that at an address; make one there */
    slow_read_fn slow_read; /* a device */
    slow_write_fn slow_write;
    struct mpu *mpu;
};

/* What a device has answered to a read, and would answer again for as long as `*version` is `seen`. */
#define ANSWERS 256
struct answer {
    const uint64_t *version;
    uint64_t seen, value;
    uint32_t address, size; /* size 0: none */
};

/* Bytes that are observed, by address in one core's view; disjoint and in order. */
struct span {
    uint32_t start, end;
    uint32_t merge; /* neighbouring accesses become one record */
};

enum { ACCESS_WRITES = 1, ACCESS_FRAME = 2, ACCESS_VALUE = 4 }; /* `value` is all that was read or written */

/* As events.RECORD has it. Times are slots until accesses_take() makes them nanoseconds. */
struct record {
    uint64_t first, last;   /* when the first and the last of `count` accesses happened */
    uint64_t value, before; /* of a write: what stood there */
    uint32_t pc, address, size, count;
    uint32_t flags, reserved;
};

struct accesses {
    const struct span *spans;
    uint32_t span_count;
    uint32_t off;           /* what runs now ran before: an idle loop that is caught up with */
    uint32_t count, capacity;
    uint32_t open, open_merged; /* from these on records may still grow: single words, merged ranges */
    uint32_t lost;          /* no memory for a record */
    uint32_t any;           /* since the last accesses_take() there may be a record */
    struct record *records;
    struct record part;     /* the last access, if its count is not 0: more of it may come */
};

enum { SEEN_DMB, SEEN_DSB, SEEN_ISB, SEEN_EXCLUSIVE, SEEN_KINDS };

struct barrier {
    uint64_t executed; /* as of the record of an access */
    uint32_t pc, spare;
};

/* DMB and DSB since they were last taken, those that have an observed access before them. */
struct order {
    uint64_t seen[SEEN_KINDS]; /* since power-on */
    struct barrier *barriers;
    uint32_t count, capacity;
    uint32_t accesses; /* how many were recorded at the last one */
    uint32_t lost;     /* no memory for one */
};

/* Exceptions by number, as IPSR has it: 16 is external interrupt 0. */
enum { EXCEPTIONS = 512, EXCEPTION_WORDS = 16, MOST_TOLD = 1024 };

/* Which exceptions are enabled, pending, active, driven by their lines: nvic.py says what each is. And the registers of
 * the System Control Block that decide what becomes of one. */
struct nvic {
    uint32_t enabled[EXCEPTION_WORDS], pending[EXCEPTION_WORDS], active[EXCEPTION_WORDS], lines[EXCEPTION_WORDS];
    uint32_t noticed[EXCEPTION_WORDS]; /* of those pending: SCR.SEVONPEND has set the event */
    int32_t priority[EXCEPTIONS];
    uint32_t group_shift, priority_mask, interrupts;
    uint32_t vtor, scr, ccr;
    uint32_t cpacr, fpccr, fpcar, fpdscr;
};

/* SysTick, in ticks of its clock since power-on: systick.py says what it does. */
#define NO_TICK 0xFFFFFFFFFFFFFFFF
struct systick {
    uint64_t zero;       /* when it next reaches zero; NO_TICK: it does not run */
    uint64_t wrapped;    /* when it was zero last, and the reload had not come yet; NO_TICK */
    uint32_t control, reload;
    uint32_t stopped_at; /* its value while it does not run */
    uint32_t flag;       /* COUNTFLAG */
};

/* An exception that was taken, with the address that it returns to, or that has returned; or a byte (`number`) that was
 * sent to who is known by the number `return_address`. */
enum { TAKEN, RETURNED_FROM, SENT };
struct told {
    uint64_t executed;
    uint32_t number, return_address, kind, reserved;
};

/* How a core fell asleep, and what woke it: an exception by number, perhaps MASKED. */
enum { AWAKE, BY_WFI, BY_WFE, ON_EXIT };
enum { NOTHING, MASKED = 512, BY_EVENT = 1024, BY_RESET };

/* The last sleep of a core, in instructions. */
struct sleep {
    uint64_t since, until;
    uint32_t pc;         /* where it goes on */
    uint32_t how, woken; /* AWAKE: it never slept; NOTHING: it sleeps */
    uint32_t reserved;
};

/* What has become of exceptions since power-on. */
struct taken {
    uint64_t count[EXCEPTIONS];
    uint64_t entered[EXCEPTIONS];        /* when it was taken last */
    uint32_t return_address[EXCEPTIONS]; /* and where it came in */
    uint32_t first[EXCEPTIONS];          /* numbers in the order in which they were taken first */
    uint32_t kinds;                      /* of them */
    uint32_t tells;                      /* each entry and return is to be told */
    uint32_t told_count, reserved;
    struct told told[MOST_TOLD];         /* not told yet */
    uint32_t announced[EXCEPTION_WORDS]; /* of these Python is told as they are taken */
    interrupt_fn announce;
    tell_fn tell_now;                    /* what is not told yet */
    struct sleep sleep;
};

struct core {
    uint64_t executed;   /* instructions since power-on, sleep counted as executed */
    uint64_t limit;      /* stop before the instruction that would exceed this */
    struct block *block; /* that runs and is counted as a whole; null: each instruction is */
    /* Any of these eight is looked at before the next block is counted: as one word. */
    uint8_t stopping;    /* a stop was asked for; core_run() clears it */
    uint8_t skipping;    /* the rest of an IT block is kept from running */
    uint8_t undo;        /* the instruction stopped before ran all the same: put back the registers as they were kept */
    uint8_t denied;      /* an access was: whatever else the instruction does must not happen */
    uint8_t turn_back;   /* a block is not to be executed as it is */
    uint8_t watch_masks;
    uint8_t spare[2];
    uint32_t address;    /* of the instruction that runs, or that was stopped before */
    uint32_t map;        /* number of what the MPU grants now */
    uint32_t fp_watch;   /* stop before a floating-point instruction */
    uint32_t ran;        /* address of the last conditional instruction of the block that ran; NO_ADDRESS: none */
    uint32_t exit_reason;
    uint32_t clean_page; /* address of the page before, if nothing on it needs a look; NO_PAGE: look */
    uint32_t page;       /* of the instruction before; ~0: look it up again */
    uint32_t traps;      /* TRAP_DIVISION, TRAP_UNALIGNED: of CCR */
    uint32_t trap;       /* with EXIT_TRAP: which */
    uint32_t it;         /* ITSTATE at the instruction stopped before; 0: outside an IT block */
    uint32_t skip_next, flags; /* address of the first instruction of that rest; NZCV as they really are */
    uint32_t limits[2];  /* MSPLIM, PSPLIM: what Unicorn was told, and does not show */
    uint32_t has_limits; /* Armv8-M: there are MSPLIM and PSPLIM */
    uint32_t marked_page; /* address of the page before, if `marks` says where on it to look; NO_PAGE: look */
    const uint8_t *marks;
    uint32_t exclusive;  /* a load-exclusive ran since this was cleared */
    struct bits *bits;   /* of that page; null: no instruction of interest stands in it */
    uint16_t *pages;     /* one per page of the address space */
    struct bits *page_bits;
    uint32_t masks[MASKS];
    int32_t mask_ids[MASKS];
    int32_t exception;   /* Unicorn's number from the INTR hook; -1: none */
    int32_t access;      /* type of the invalid access; -1: none */
    uint32_t access_address;
    uint32_t access_size;
    int32_t error;       /* of the last emu_start */
    uint32_t pc;         /* of the next instruction */
    uint64_t passed;     /* value of `executed` at which an instruction runs although it is marked */
    int32_t watched;     /* type of the first access of an instruction to what a debugger watches; -1: none */
    uint32_t watched_address;
    uint32_t watched_pc;
    emu_stop_fn emu_stop;
    emu_start_fn emu_start;
    reg_read_fn reg_read;
    reg_write_fn reg_write;
    int32_t register_ids[REGISTERS];
    int32_t cpsr_id;
    int32_t flags_id, xpsr_id, xpsr_write_id; /* NZCV alone; xPSR, and without its exception number to be written */
    void *uc;
    uint32_t check_fetch; /* the MPU does not grant the same on all of this page: ask for each instruction */
    uint64_t denied_executed; /* `executed` and `address` when an access was denied */
    uint32_t denied_address;
    int32_t saved_count;  /* registers as they were then: their ids and places */
    int *saved_ids;
    void **saved_pointers;
    reg_read_batch_fn reg_read_batch;
    struct accesses *accesses; /* null: nothing is observed */
    struct order *order; /* null: nobody asks for barriers */
    uint32_t *grown;     /* counts pages that a cache came to hold lines of; null: no cache is modelled */
    uint32_t grown_seen; /* what the TLB takes into account */
    uint32_t number;     /* of the core */
    uint32_t fast;       /* blocks.c: code that runs often is counted by blocks */
    uint32_t hot;        /* which is so many times */
    uint32_t drop_blocks; /* what is known of blocks is void, and each translation */
    uint32_t called;     /* Python has been, since core_advance() or core_attend() began */
    uint32_t comes_back; /* and is to go on */
    uint32_t block_size; /* of the one to be translated anew */
    struct blocks *blocks;
    int *saved_write_ids; /* of `saved_ids` */
    reg_write_batch_fn reg_write_batch;
    protected_fn protected_write; /* a store to memory that refuses it */
    struct nvic *nvic;
    struct taken *taken;
    struct frames *frames; /* null: every exception is Python's */
    struct systick *systick;
    uint64_t systick_hz;
    uint64_t mips;         /* instructions in a microsecond of virtual time */
    uint64_t next_count;   /* when the next thing happens to the core by itself */
    uint64_t python_count; /* and the next but SysTick */
    uint64_t slices;       /* of execution, since power-on */
    uint64_t served;       /* accesses of devices that were answered here, since power-on */
    uint32_t attention;    /* an exception may have to be taken before the next instruction */
    uint32_t disturbed;    /* in this turn: a device was written, an exception came, it fell asleep */
    uint32_t event;        /* the event register */
    uint32_t sleeping;     /* in WFI, WFE, or since the last exception returned */
    uint32_t waits_for_event; /* in WFE */
    uint32_t reserved2;
    uint32_t loop_pc;      /* where the idle loop was interrupted that was left last; NO_ADDRESS: nowhere */
    uint32_t resumed;      /* an exception returned there */
    const struct answer *answers; /* ANSWERS of them, each at its place by its address */
    const struct answer *senders; /* the same of writes that do nothing but send a byte: `value` is to whom */
    struct guard guard;
};

/* Bytes that are looked at between turns, and what they were. */
struct compared {
    const uint8_t *now;
    void *before;
    uint64_t size;
};

/* Where a turn of a core ended. */
struct turn_end {
    uint64_t executed, pc;
};

/* A core in the order of turns; what Python knows of it, and what comes of its turns. */
struct seat {
    struct core *core;
    uint64_t delayed_until;
    uint64_t loop_length, loop_debt; /* of the idle loop that it is in; 0: it is in none */
    const struct compared *loop; /* what that loop reads and executes */
    const uint8_t *known_loops; /* one byte per page: an idle loop was found there */
    struct turn_end *ends;
    uint32_t loop_count;
    uint32_t stands;        /* held or locked up */
    uint32_t python;        /* something else comes first */
    uint32_t calm_turns, patience; /* loop_skipper.py */
    uint32_t ran;           /* in this quantum: at least one instruction */
    uint32_t reason;        /* of the slice that Python goes on with */
    uint32_t end_count;
};

/* Why turns_run() came back: all quanta have passed; before, or behind, a slice of a core; at the end of its share, to
 * look for an idle loop or to tell what it did. */
enum { TURNS_GO_ON, TURNS_BEFORE, TURNS_SLICE, TURNS_LOOK, TURNS_NEWS };

struct turns {
    struct seat *seats;
    const struct compared *watched;
    uint64_t quantum, quantum_ns;
    uint64_t quanta;        /* whole ones that passed */
    uint64_t quiet, quiet_work; /* of them, those before one with `most_work` or more; the work in these */
    uint64_t most_work;
    uint32_t seat_count, watched_count;
    uint32_t at;            /* whose turn it is */
    uint32_t reserved;
};

/* Registers of a frame by Unicorn's ids. */
enum { CALLER = 10, ENTERED = 7, STACKS = 3, RETURNED = 11 };

/* Each list of ids is a batch in the order that frames.py says and gives the reasons for. */
struct frames {
    const struct window *windows;
    uint32_t window_count;
    uint32_t fp_bits; /* CONTROL's: a floating-point context */
    uint32_t aligned, flags, kept; /* of XPSR: that a frame was padded; what a handler and a return keep */
    uint32_t to_process;           /* of EXC_RETURN */
    int32_t caller_ids[CALLER], entered_ids[ENTERED], stacks_ids[STACKS], returned_ids[RETURNED];
    reg_read_batch_fn reg_read_batch;
    reg_write_batch_fn reg_write_batch;
};

/* What a debugger watches: bytes from first to last. Unicorn calls for each access that begins in a wider range. */
struct watch {
    struct core *core;
    uint32_t first, last;
};

/* Code whose executions are counted, by the halfword at which an instruction begins. */
struct counted {
    uint32_t start, reserved;
    uint64_t *counts;
};

/* The probe runs a copy of a core for a while and says whether it came back to the very same registers, which bytes it
 * read on the way and what it overwrote. */
enum { PROBE_REGS = 40, PROBE_ACCESSES = 64, PROBE_SPARE = 64 };

struct access {
    uint32_t address, size;
    uint64_t value;
};

struct probe {
    uint64_t executed, limit;
    uint32_t head, passed, same, spoilt;
    uint32_t keeps_masks; /* an exception is pending and masked: a loop that may unmask it is none */
    uint32_t lowest, highest; /* extent of the code that ran; highest is past its end */
    uint32_t read_count, write_count;
    struct access reads[PROBE_ACCESSES + PROBE_SPARE];
    struct access writes[PROBE_ACCESSES + PROBE_SPARE];
    uint64_t start[PROBE_REGS], now[PROBE_REGS];
    int32_t ids[PROBE_REGS];
    void *now_pointers[PROBE_REGS];
    int32_t count;
    int32_t cpsr_id;
    emu_stop_fn emu_stop;
    reg_read_fn reg_read;
    reg_write_fn reg_write;
    reg_read_batch_fn reg_read_batch;
    mem_read_fn mem_read;
};

#endif
