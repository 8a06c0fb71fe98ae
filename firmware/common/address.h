/* The address environment: which address of main's names the same byte as which of the remote's. */
#ifndef ADDRESS_H
#define ADDRESS_H

#include <stdbool.h>
#include <stdint.h>

struct address_range {
    uint32_t pa; /* as main sees it */
    uint32_t da; /* as the remote sees it */
    uint32_t size;
};

/* Both give false when the range does not hold all `size` bytes. */
bool address_to_remote(const struct address_range *range, uint32_t pa, uint32_t size, uint32_t *da);
bool address_to_main(const struct address_range *range, uint32_t da, uint32_t size, uint32_t *pa);

#endif
