/* A bare program for QEMU's Arm "virt" machine: drives the first network card or disk behind virtio-mmio (virtio 1.3,
 * 4.2.2), by split rings and polling, and says on the UART how that went. */
#include <stdint.h>

#define UART ((volatile uint32_t *)0x09000000) /* PL011 */
#define TRANSPORT(n) (0x0A000000u + 0x200u * (n))
#define TRANSPORTS 32u

enum { MAGIC = 0x000, VERSION = 0x004, DEVICE = 0x008, HOST_FEATURES = 0x010, HOST_SELECT = 0x014, FEATURES = 0x020,
       SELECT = 0x024, QUEUE = 0x030, QUEUE_MAX = 0x034, QUEUE_NUM = 0x038, READY = 0x044, NOTIFY = 0x050,
       STATUS = 0x070, DESC = 0x080, DRIVER = 0x090, USED = 0x0A0, CONFIG = 0x100 };

#define NUM 8u
#define FRAME 98u
#define HEADER 12u
#define FRAMES 200u
#define SECTORS 16u

struct descriptor { uint64_t address; uint32_t length; uint16_t flags, next; };
struct ring {
    struct descriptor desc[NUM];
    struct { uint16_t flags, idx, ring[NUM], event; } avail;
    struct { uint16_t flags, idx; struct { uint32_t id, len; } ring[NUM]; uint16_t event; } used __attribute__((aligned(4)));
} __attribute__((aligned(4096)));

static volatile struct ring rings[2];
static uint8_t received[NUM][2048] __attribute__((aligned(64))), sent[2048] __attribute__((aligned(64)));
static uint32_t base;
static uint16_t looked[2];

static void put(const char *text) { while (*text) *UART = (uint32_t)*text++; }

static void number(uint32_t value)
{
    char digits[11];
    int at = 10;

    digits[at] = 0;
    do digits[--at] = (char)('0' + value % 10); while ((value /= 10) != 0);
    put(digits + at);
}

static volatile uint32_t *at(uint32_t offset) { return (volatile uint32_t *)(base + offset); }

static void barrier(void) { __asm__ volatile("dsb sy" ::: "memory"); }

static void place(uint32_t reg, const volatile void *what) { *at(reg) = (uint32_t)what; *at(reg + 4) = 0; }

static int bring_up(unsigned queues)
{
    *at(STATUS) = 0;
    *at(STATUS) = 1 | 2;
    *at(SELECT) = 1;
    *at(FEATURES) = 1; /* VERSION_1 */
    *at(SELECT) = 0;
    *at(FEATURES) = 0;
    *at(STATUS) = 1 | 2 | 8;
    if (!(*at(STATUS) & 8)) return 0;
    for (unsigned q = 0; q < queues; q++) {
        *at(QUEUE) = q;
        if (*at(QUEUE_MAX) < NUM) return 0;
        *at(QUEUE_NUM) = NUM;
        place(DESC, &rings[q].desc);
        place(DRIVER, &rings[q].avail);
        place(USED, &rings[q].used);
        *at(READY) = 1;
    }
    *at(STATUS) = 1 | 2 | 8 | 4;
    return 1;
}

static void offer(unsigned q, uint16_t head)
{
    rings[q].avail.ring[rings[q].avail.idx % NUM] = head;
    barrier();
    rings[q].avail.idx++;
    barrier();
    *at(NOTIFY) = q;
}

static uint16_t wait(unsigned q) /* for the next used buffer: its head */
{
    while (rings[q].used.idx == looked[q]) barrier();
    barrier();
    return (uint16_t)rings[q].used.ring[looked[q]++ % NUM].id;
}

static void fill(unsigned q, unsigned n, const volatile void *what, uint32_t length, uint16_t flags, uint16_t next)
{
    rings[q].desc[n].address = (uint32_t)what;
    rings[q].desc[n].length = length;
    rings[q].desc[n].flags = flags;
    rings[q].desc[n].next = next;
}

static void frames(void) /* each comes back with its addresses exchanged */
{
    uint32_t good = 0;

    for (unsigned n = 0; n < NUM; n++) {
        fill(0, n, received[n], sizeof received[n], 2, 0);
        offer(0, (uint16_t)n);
    }
    for (uint32_t number_ = 0; number_ < FRAMES; number_++) {
        uint16_t head;
        uint32_t same = 1;

        for (uint32_t i = 0; i < HEADER; i++) sent[i] = 0;
        for (uint32_t i = 0; i < FRAME; i++) sent[HEADER + i] = (uint8_t)(i * 7 + number_);
        fill(1, 0, sent, HEADER + FRAME, 0, 0);
        offer(1, 0);
        wait(1);
        head = wait(0);
        for (uint32_t i = 0; i < FRAME; i++) {
            uint32_t from = i < 6 ? i + 6 : i < 12 ? i - 6 : i;
            same &= received[head][HEADER + i] == sent[HEADER + from];
        }
        good += same;
        offer(0, head);
    }
    put("frames good "); number(good); put("\n");
}

static void sectors(void) /* read, inverted, written to the second half */
{
    static struct { uint32_t type, reserved; uint64_t sector; } request;
    static volatile uint8_t status;
    uint32_t good = 0, half = *at(CONFIG) / 2;

    for (uint32_t n = 0; n < SECTORS; n++) {
        for (uint32_t write = 0; write < 2; write++) {
            request.type = write;
            request.sector = n + (write ? half : 0);
            status = 0xFF;
            fill(0, 0, &request, sizeof request, 1, 1);
            fill(0, 1, sent, 512, write ? 1 : 3, 2);
            fill(0, 2, &status, 1, 2, 0);
            offer(0, 0);
            wait(0);
            good += status == 0;
            for (uint32_t i = 0; i < 512; i++) sent[i] = (uint8_t)~sent[i];
        }
    }
    put("requests good "); number(good); put("\n");
}

static void leave(void) /* semihosting: SYS_EXIT, ADP_Stopped_ApplicationExit */
{
    register uint32_t r0 __asm__("r0") = 0x18;
    register uint32_t r1 __asm__("r1") = 0x20026;

    __asm__ volatile("svc 0x123456" ::"r"(r0), "r"(r1) : "memory");
    for (;;) {}
}

void run(void)
{
    for (unsigned n = 0; n < TRANSPORTS; n++) {
        base = TRANSPORT(n);
        if (*at(MAGIC) == 0x74726976 && *at(VERSION) == 2 && (*at(DEVICE) == 1 || *at(DEVICE) == 2)) {
            unsigned is_card = *at(DEVICE) == 1;

            if (!bring_up(is_card ? 2 : 1)) { put("refused\n"); break; }
            if (is_card) frames(); else sectors();
            leave();
        }
    }
    put("no device\n");
    leave();
}

__asm__(".section .start, \"ax\"\n.global _start\n_start: ldr sp, =stack_top\n bl run\n.ltorg\n"
        ".bss\n.align 3\n.space 16384\nstack_top:\n.text\n");
