/* How often each instruction runs: Unicorn calls this behind the hook of run.c, where somebody wants to know. What that
 * one stops before is not called here. */
#include "native.h"

void counted_on_code(void *uc, uint64_t address, uint32_t size, void *user)
{
    struct counted *c = user;
    (void)uc;
    (void)size;
    c->counts[((uint32_t)address - c->start) >> 1]++;
}
