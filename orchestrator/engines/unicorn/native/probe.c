/* The probe of idle loops: what a round of the loop reads and stores, and whether it comes back to where it was. */
#include <string.h>

#include "native.h"

static void give_up(struct probe *p, void *uc)
{
    p->spoilt = 1;
    p->emu_stop(uc);
}

/* Instructions whose effect the registers do not show: WFE, WFI, SEV and wide hints, store-exclusive; and those whose
 * privilege they do not show. */
static int is_opaque(uint32_t half, uint32_t second)
{
    return is_unprivileged_access(half, second) || half == 0xBF20 || half == 0xBF30 || half == 0xBF40 || half == 0xF3AF || (half & 0xFFF0) == 0xE840 || (half & 0xFFF0) == 0xE8C0;
}

/* CPS, and MSR of any special register. */
static int may_change_masks(uint32_t half, uint32_t second)
{
    return (half & 0xFFE8) == 0xB660 || ((half & 0xFFE0) == 0xF380 && (second & 0xD000) == 0x8000);
}

void probe_on_code(void *uc, uint64_t address64, uint32_t size, void *user)
{
    struct probe *p = user;
    uint32_t address = (uint32_t)address64;
    uint16_t half[2] = {0, 0};

    if (p->spoilt || p->same) {
        p->emu_stop(uc);
        return;
    }
    if (address == p->head && p->passed) {
        memset(p->now, 0, sizeof p->now);
        p->reg_read_batch(uc, p->ids, p->now_pointers, p->count);
        if (memcmp(p->now, p->start, sizeof p->now) == 0) {
            p->same = 1;
            p->emu_stop(uc);
            return;
        }
    }
    p->passed = 1;
    if (p->mem_read(uc, address, half, sizeof half) != 0)
        p->mem_read(uc, address, half, sizeof half[0]);
    if (p->executed >= p->limit || size > 4 || is_opaque(half[0], half[1]) || (p->keeps_masks && may_change_masks(half[0], half[1]))) {
        give_up(p, uc);
        return;
    }
    if (address < p->lowest)
        p->lowest = address;
    if (address + size > p->highest)
        p->highest = address + size;
    p->executed++;
}

static int note(struct probe *p, void *uc, struct access *list, uint32_t *count, uint32_t address, uint32_t size)
{
    struct access *a;
    for (uint32_t i = 0; i < *count; i++)
        if (list[i].address == address && list[i].size == size)
            return 1;
    /* The store happens whatever is said here, with the rest of its instruction: keep it to be undone. */
    if (*count == PROBE_ACCESSES + PROBE_SPARE || size > 8)
        return 0;
    a = &list[*count];
    a->address = address;
    a->size = size;
    a->value = 0;
    if (p->mem_read(uc, address, &a->value, size) != 0)
        return 0;
    (*count)++;
    return *count <= PROBE_ACCESSES;
}

void probe_on_read(void *uc, int type, uint64_t address, int size, int64_t value, void *user)
{
    struct probe *p = user;
    (void)type;
    (void)value;
    leave_it(uc, p->reg_read, p->reg_write, p->cpsr_id);
    if (!note(p, uc, p->reads, &p->read_count, (uint32_t)address, (uint32_t)size))
        give_up(p, uc);
}

void probe_on_write(void *uc, int type, uint64_t address, int size, int64_t value, void *user)
{
    struct probe *p = user;
    uint64_t mask = size >= 8 ? ~0ull : (1ull << (8 * size)) - 1;
    uint64_t present = 0;
    (void)type;
    leave_it(uc, p->reg_read, p->reg_write, p->cpsr_id);
    if (!note(p, uc, p->writes, &p->write_count, (uint32_t)address, (uint32_t)size)) {
        give_up(p, uc);
        return;
    }
    p->mem_read(uc, address, &present, (uint64_t)size);
    if (((uint64_t)value & mask) != (present & mask))
        give_up(p, uc);
}

void probe_on_exception(void *uc, uint32_t number, void *user)
{
    (void)number;
    give_up(user, uc);
}

int probe_on_invalid(void *uc, int type, uint64_t address, int size, int64_t value, void *user)
{
    (void)uc;
    (void)type;
    (void)address;
    (void)size;
    (void)value;
    ((struct probe *)user)->spoilt = 1;
    return 0;
}
