/* A remote that sleeps, with a resource table in the shape that a vendor's firmware has it; SHAPE picks one, and each
 * other definition breaks one thing of it. Shapes and values are facts of public firmware, written anew. */
#include <stddef.h>
#include <stdint.h>

#define ZEPHYR 1      /* samples with RAM console: a host to place and number, ids of C's zero */
#define ST_MP1 2      /* Linux as host: id 255, the trace of the M4 */
#define ST_H7 3       /* a pair of microcontrollers: fixed addresses */
#define IMX8M 4       /* NXP i.MX8M, Microchip PolarFire: rpmsg-lite behind Linux */
#define IMX8QM 5      /* two vdevs */
#define IMX_DSP 6     /* a vendor entry in front of the vdev */
#define EMPTY 7       /* NXP: only there so that Linux loads the image */
#define EMPTY_SPARE 8 /* NXP, TI PRU: num 0 and room for an offset */
#define TRACE_ONLY 9  /* TI DSP */
#define K3 10         /* TI R5F */
#define PRU 11        /* TI PRU: nothing numbered, interrupt map */
#define ZYNQMP 12     /* AMD R5F: eight offsets, one used */
#define ZYNQ 13       /* Xilinx Zynq, LPC54114: OpenAMP before 2018 */
#define RZG2 14       /* Renesas: the same, nothing numbered */
#define SUNXI 15      /* Allwinner: a carveout for the host to place */
#define MT8183 16     /* MediaTek: carveouts for program, log, vrings and buffers */
#define OMAP 17       /* TI IPU: carveout, devmem */
#define NUTTX 18      /* rptun on i.MX9: a config space, the trace last */

#define ANY 0xFFFFFFFFu

/* What a shape does not say. */
#ifndef VERSION
#define VERSION 1
#endif
#ifndef RESERVED
#define RESERVED 0
#endif
#ifndef ALIGN
#define ALIGN (SHAPE == IMX8M || SHAPE == K3 || SHAPE == ZYNQMP || SHAPE == SUNXI ? 0x1000 : 16)
#endif
#ifndef NUM
#define NUM (SHAPE == IMX8M ? 256 : 16)
#endif
#ifndef NUM1
#define NUM1 NUM
#endif
#if SHAPE == ZEPHYR || SHAPE == ST_MP1 || SHAPE == IMX_DSP || SHAPE == K3 || SHAPE == PRU || SHAPE == ZYNQMP || SHAPE == SUNXI
#define PLACED 0
#else
#define PLACED 1
#endif
#ifndef DA0
#define DA0 (PLACED ? 0x10041000u : ANY)
#endif
#ifndef DA1
#define DA1 (PLACED ? 0x10044000u : ANY)
#endif
#ifndef VDEV_ID
#define VDEV_ID (SHAPE == ST_MP1 || SHAPE == ST_H7 ? 255 : SHAPE == ZYNQMP ? 31 : SHAPE == NUTTX ? ANY : 0)
#endif
#define FROM_ONE (SHAPE == K3 || SHAPE == ZYNQMP || SHAPE == ZYNQ || SHAPE == SUNXI || SHAPE == OMAP)
#define UNNUMBERED (SHAPE == PRU || SHAPE == RZG2)
#ifndef ID0
#define ID0 (SHAPE == NUTTX ? ANY : FROM_ONE ? 1 : 0)
#endif
#ifndef ID1
#define ID1 (SHAPE == NUTTX ? ANY : UNNUMBERED ? 0 : FROM_ONE ? 2 : 1)
#endif
#ifndef SECOND_ID1
#define SECOND_ID1 3
#endif
#ifndef SECOND_VRINGS
#define SECOND_VRINGS 2
#endif
#ifndef EXTRA_TYPE
#define EXTRA_TYPE 128
#endif
#ifndef FEATURES
#define FEATURES 1
#endif
#ifndef CONFIG_LEN
#define CONFIG_LEN (SHAPE == NUTTX ? 64 : 0)
#endif
#ifndef TRACE_RESERVED
#define TRACE_RESERVED 0
#endif
#ifndef EXTRA_LEN
#define EXTRA_LEN (SHAPE == PRU ? 20 : 16)
#endif
#ifndef ENTRIES
#define ENTRIES OFFSETS
#endif

struct trace { uint32_t type, da, len, reserved; char name[32]; };
struct block { uint32_t type, da, pa, len, flags, reserved; char name[32]; };
struct vring { uint32_t da, align, num, notifyid, pa; };
struct vdev {
    uint32_t type, id, notifyid, dfeatures, gfeatures, config_len;
    uint8_t status, vrings, reserved[2];
    struct vring vring[2];
};

#define VDEV(notifyid, vrings, da0, id0, da1, id1)                                                                     \
    {3, 7, notifyid, FEATURES, 0, CONFIG_LEN, 0, vrings, {0}, {{da0, ALIGN, NUM, id0, 0}, {da1, ALIGN, NUM1, id1, 0}}}
#define TRACE(text) {2, (uint32_t)log_buffer, sizeof log_buffer, TRACE_RESERVED, text}
#define CARVEOUT(da, len, text) {0, da, ANY, len, 0, 0, text}

static char log_buffer[256];

#define HAS_TRACE                                                                                                      \
    (SHAPE == ZEPHYR || SHAPE == ST_MP1 || SHAPE == TRACE_ONLY || SHAPE == K3 || SHAPE == SUNXI || SHAPE == MT8183 ||  \
     SHAPE == OMAP || SHAPE == NUTTX)
#define HAS_VDEV (SHAPE != EMPTY && SHAPE != EMPTY_SPARE && SHAPE != TRACE_ONLY)
#define BLOCKS (SHAPE == MT8183 ? 4 : SHAPE == OMAP ? 2 : SHAPE == SUNXI || SHAPE == NUTTX ? 1 : 0)
#define HAS_EXTRA (SHAPE == IMX_DSP || SHAPE == PRU || SHAPE == ZYNQ || SHAPE == RZG2)
#define VDEVS (SHAPE == IMX8QM ? 2 : 1)
#define OFFSETS (HAS_EXTRA + BLOCKS + HAS_VDEV * VDEVS + HAS_TRACE)
#define ROOM (SHAPE == ZYNQMP ? 8 : SHAPE == EMPTY_SPARE ? 1 : OFFSETS)

struct table {
    uint32_t version, num, reserved[2];
#if SHAPE != EMPTY
    uint32_t offset[ROOM];
#endif
#if SHAPE == IMX_DSP || SHAPE == ZYNQ || SHAPE == RZG2
    uint32_t extra[5];
#endif
#if SHAPE == MT8183 || SHAPE == OMAP || SHAPE == SUNXI || SHAPE == NUTTX
    struct block block[BLOCKS];
#endif
#if SHAPE != EMPTY && SHAPE != EMPTY_SPARE && SHAPE != TRACE_ONLY
    struct vdev vdev[VDEVS];
#endif
#if SHAPE == NUTTX
    uint32_t config[16];
#elif SHAPE == PRU
    uint32_t extra[8];
#endif
#if SHAPE == ZEPHYR || SHAPE == ST_MP1 || SHAPE == TRACE_ONLY || SHAPE == K3 || SHAPE == SUNXI || SHAPE == MT8183 ||    \
    SHAPE == OMAP || SHAPE == NUTTX
    struct trace trace;
#endif
};

#define AT(member) offsetof(struct table, member)

__attribute__((section(".resource_table"), used)) struct table table = {
    .version = VERSION,
    .num = ENTRIES,
    .reserved = {RESERVED, 0},
#if SHAPE == EMPTY || SHAPE == EMPTY_SPARE
#elif SHAPE == ZEPHYR
    .offset = {AT(vdev[0]), AT(trace)}, .trace = TRACE("Zephyr_log"),
#elif SHAPE == ST_MP1
    .offset = {AT(vdev[0]), AT(trace)}, .trace = TRACE("cm4_log"),
#elif SHAPE == IMX8QM
    .offset = {AT(vdev[0]), AT(vdev[1])},
#elif SHAPE == IMX_DSP
    .offset = {AT(extra), AT(vdev[0])}, .extra = {EXTRA_TYPE, EXTRA_LEN, 0x6E787073, 0, 1},
#elif SHAPE == TRACE_ONLY
    .offset = {AT(trace)}, .trace = TRACE("trace:dsp"),
#elif SHAPE == K3
    .offset = {AT(vdev[0]), AT(trace)}, .trace = TRACE("trace:r5f0"),
#elif SHAPE == PRU
    .offset = {AT(vdev[0]), AT(extra)}, .extra = {5, 1, EXTRA_LEN, 0xFF000000, 0xFFFF02FF, 0xFFFFFFFF, 2, 0x10000100},
#elif SHAPE == ZYNQ || SHAPE == RZG2
    .offset = {AT(extra), AT(vdev[0])}, .extra = {4, 0x10041000, 0x30041000, 0x6000, 0},
#elif SHAPE == SUNXI
    .offset = {AT(block[0]), AT(trace), AT(vdev[0])}, .trace = TRACE("e907_log"),
    .block = {CARVEOUT(ANY, 0x4000, "vdev0buffer")},
#elif SHAPE == MT8183
    .offset = {AT(block[0]), AT(block[1]), AT(block[2]), AT(block[3]), AT(trace), AT(vdev[0])},
    .trace = TRACE("Trace"),
    .block = {CARVEOUT(0x10000000, 0x20000, "System RAM"), CARVEOUT(0x10041000, 0x1000, "vdev0vring0"),
              CARVEOUT(0x10044000, 0x1000, "vdev0vring1"), CARVEOUT(0x10046000, 0x1000, "vdev0buffer")},
#elif SHAPE == OMAP
    .offset = {AT(block[0]), AT(block[1]), AT(vdev[0]), AT(trace)}, .trace = TRACE("trace:sysm3"),
    .block = {CARVEOUT(0x10000000, 0x10000, "IPU_MEM_TEXT"), {1, 0x40000000, 0x40000000, 0x1000, 0, 0, "IPU_PERIPH"}},
#elif SHAPE == NUTTX
    .offset = {AT(vdev[0]), AT(block[0]), AT(trace)}, .trace = TRACE("trace"),
    .block = {CARVEOUT(0x10043000, 0x1000, "vdev0buffer")},
#else
    .offset = {AT(vdev[0])},
#endif
#if SHAPE == IMX8QM
    .vdev = {VDEV(VDEV_ID, 2, DA0, ID0, DA1, ID1), VDEV(2, SECOND_VRINGS, 0x10045000, 2, 0x10046000, SECOND_ID1)},
#elif SHAPE != EMPTY && SHAPE != EMPTY_SPARE && SHAPE != TRACE_ONLY
    .vdev = {VDEV(VDEV_ID, 2, DA0, ID0, DA1, ID1)},
#endif
};

#ifdef OPENAMP
/* A remote that has OpenAMP read its table. */
__attribute__((used)) void remoteproc_allocate_id(void) { }
#endif

extern uint32_t stack_top[];
void reset(void);
void reset(void)
{
    for (;;) {
        __asm volatile("wfi");
    }
}
__attribute__((section(".isr_vector"), used)) const void *const vectors[16] = {stack_top, (const void *)reset};
