#include "address.h"

static bool move(uint32_t from, uint32_t to, uint32_t extent, uint32_t address, uint32_t size, uint32_t *moved)
{
    uint32_t offset = address - from;

    if (address < from || offset > extent || size > extent - offset) {
        return false;
    }
    *moved = to + offset;
    return true;
}

bool address_to_remote(const struct address_range *range, uint32_t pa, uint32_t size, uint32_t *da)
{
    return move(range->pa, range->da, range->size, pa, size, da);
}

bool address_to_main(const struct address_range *range, uint32_t da, uint32_t size, uint32_t *pa)
{
    return move(range->da, range->pa, range->size, da, size, pa);
}
