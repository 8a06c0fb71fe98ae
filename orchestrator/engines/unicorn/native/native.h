/* What the files of the native part have of each other. */
#ifndef RPTWIN_NATIVE_H
#define RPTWIN_NATIVE_H

#include "abi.h"

#define IT_BITS 0x0600FC00u /* of xPSR and CPSR */
enum { NPRIV = 1, SPSEL = 2, FPCA = 4 }; /* CONTROL */
enum { SP = 13, PC = 15 };
enum { PREFETCH_ABORT = 3 };
enum {
    MEM_READ = 16,
    MEM_WRITE,
    MEM_FETCH,
    MEM_READ_UNMAPPED,
    MEM_WRITE_UNMAPPED,
    MEM_FETCH_UNMAPPED,
    MEM_WRITE_PROT,
    MEM_READ_PROT,
    MEM_FETCH_PROT
}; /* uc_mem_type */

/* An access that the TLB cannot decide goes to an alias of its address: to the first for privileged code, to the
 * second for unprivileged. Nothing may be accessed there without guard_decides(). The third is for pages that hold
 * observed bytes and grant the same everywhere. */
#define ALIAS_SHIFT 32
#define OBSERVED_ALIAS (3ull << ALIAS_SHIFT)

static inline int is_wide(uint32_t half)
{
    return half >= 0xE800;
}

static inline const struct window *window_at(const struct window *windows, uint32_t count, uint32_t address)
{
    for (uint32_t i = 0; i < count; i++)
        if (address >= windows[i].start && address < windows[i].end)
            return &windows[i];
    return 0;
}

static inline uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* run.c */
uint32_t core_run(struct core *c, uint64_t limit);
int core_read_masks(struct core *c, uint32_t *values);
void leave_it(void *uc, reg_read_fn reg_read, reg_write_fn reg_write, int cpsr_id);
void core_leave_it(struct core *c);
int is_single_access(uint32_t first);
int is_exclusive_load(uint32_t first, uint32_t second);
uint32_t address_of(const struct core *c, uint32_t first, uint32_t second, uint32_t *size);
uint32_t register_of(const struct core *c, uint32_t number);

/* What an instruction of a counted block needs before it runs: nothing, to be counted, to be stopped before where the
 * block is taken back, to be noted, or, with the number of a register, that it is aligned. With EVERY_CALL no counted
 * block has it. */
enum { NO_CALL, IS_COUNTED, IS_FINAL, LOADS_EXCLUSIVE, ORDERS, SETS_LIMIT, EVERY_CALL, IS_ALIGNED = 16 };
uint32_t call_in_block(const struct core *c, uint32_t first, uint32_t second, uint32_t *floats);
void note_stack_limit(struct core *c, uint32_t first, uint32_t second);
void note_exclusive_load(struct core *c);
void look(struct core *c, void *uc, uint32_t address, uint32_t size);
int ends_skipping(struct core *c, uint32_t address);
int have_masks_changed(struct core *c);
void core_on_code(void *uc, uint64_t address, uint32_t size, void *user);

/* blocks.c */
void core_on_block(void *uc, uint64_t address, uint32_t size, void *user);
void block_begins(void *uc, uint64_t address, uint32_t size, void *user);
void take_back(struct core *c);
int is_taken_back(const struct core *c);
void blocks_before_run(struct core *c);
int blocks_go_on(struct core *c);

/* nvic.c */
enum { NO_PRIORITY = 256 }; /* of Thread mode with nothing masked */
enum { FIRST_INTERRUPT = 16 };
int nvic_has(const uint32_t *bits, uint32_t number);
int nvic_has_any(const uint32_t *bits);
int nvic_has_candidates(const struct nvic *n);
int nvic_execution_priority(const struct nvic *n, const uint32_t *masks);
int nvic_takeable(const struct nvic *n, int priority);
int nvic_can_take(const struct nvic *n, uint32_t number, int priority);
void nvic_pend(struct nvic *n, uint32_t number);
void nvic_enter(struct nvic *n, uint32_t number);
void nvic_leave(struct nvic *n, uint32_t number);
void nvic_drive(struct nvic *n, uint32_t interrupt, uint32_t level);
void core_reconsider(struct core *c);
int nvic_store(struct core *c, uint32_t address, uint32_t size, uint32_t value);

/* systick.c */
int systick_comes(struct core *c);
void core_replan(struct core *c, uint64_t count, uint32_t runs);
int systick_load(struct core *c, uint32_t address, uint32_t size, uint64_t *value);
int systick_store(struct core *c, uint32_t address, uint32_t size, uint32_t value);

/* exceptions.c */
int takes_exceptions(const struct core *c);
uint32_t core_advance(struct core *c, uint64_t end);
int core_attend(struct core *c);

/* frames.c */
int frames_enter(struct core *c, struct frames *f, uint32_t number, uint32_t vector, uint32_t return_address, int align);
int frames_chain(struct core *c, struct frames *f, uint32_t number, uint32_t vector, uint32_t exc_return,
                 uint32_t *return_address);
int frames_leave(struct core *c, struct frames *f, uint32_t exc_return);

/* it.c */
uint32_t it_advance(uint32_t state);
uint32_t it_state_at(const struct core *c, uint32_t address, int tries);
uint32_t read_flags(const struct core *c);
int passes(uint32_t condition, uint32_t flags);
void skip_rest(struct core *c);
void put_flags_back(struct core *c);
int skip_ends(struct core *c, uint32_t address);
void set_it(const struct core *c, uint32_t it);
void core_stop_behind(struct core *c);

/* order.c */
int is_barrier(uint32_t first, uint32_t second);
void note_barrier(struct core *c, uint32_t second);

/* accesses.c */
enum { AS_MADE, ONE_ACCESS, DOUBLES }; /* of bytes_asked_for() */
int is_exclusive_store(uint32_t first, uint32_t second);
int accesses_has(const struct accesses *a, uint32_t first, uint32_t last);
void note_access(struct core *c, const struct window *w, int reads, uint32_t address, uint32_t size, uint64_t value);
int is_no_access(const struct core *c, int reads, uint32_t size, uint64_t value);
int bytes_asked_for(const struct core *c, uint32_t *start, uint32_t *end);
void core_note_frame(struct core *c, uint32_t frame, uint32_t size, uint32_t pc, int writes);

/* protection.c */
int mpu_store(struct core *c, uint32_t address, uint32_t size, uint32_t value);
int mpu_apply(struct core *c);

/* mpu.c */
int is_unprivileged_access(uint32_t first, uint32_t second);
int is_unprivileged_mode(const struct core *c);
uint32_t core_is_unprivileged(struct core *c);
void deny(struct core *c, void *uc, int type, uint32_t address, uint32_t size);
_Bool guard_decides(struct core *c, void *uc, int type, uint64_t address64, uint32_t size);
int guard_grants(const struct core *c, uint32_t address, uint32_t size, int stores);
uint32_t is_mixed_code(const struct core *c, uint32_t address);
uint32_t may_fetch(const struct core *c, uint32_t address, uint32_t size);

/* cache.c */
int cache_looks_at(const struct core *c, const struct window *w, uint32_t address);
void cache_read(struct core *c, const struct window *w, uint32_t address, uint32_t size, uint64_t *value);
void cache_fetch(struct core *c, uint32_t address, uint32_t size);
int cache_write(struct core *c, const struct window *w, uint32_t address, uint32_t size, uint64_t value);

#endif
