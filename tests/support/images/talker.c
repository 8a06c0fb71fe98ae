/* Talks by RTT and by semihosting: greets, gives back each line in capitals, and ends its program at "end". */
#include <stdint.h>

struct buffer {
    const char *name;
    char *bytes;
    uint32_t size;
    volatile uint32_t written, read;
    uint32_t flags;
};

struct {
    char id[16];
    int32_t ups, downs;
    struct buffer up[2], down[1];
} _SEGGER_RTT;

static char up_bytes[16], down_bytes[8]; /* smaller than what goes through them */
extern uint32_t stack_top;

static uint32_t host(uint32_t operation, const void *argument)
{
    register uint32_t r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;

    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

static void put(char character)
{
    struct buffer *up = &_SEGGER_RTT.up[0];
    uint32_t next = (up->written + 1) % up->size;

    while (next == up->read) {
    }
    up->bytes[up->written] = character;
    up->written = next;
}

static void say(const char *text)
{
    while (*text) {
        put(*text++);
    }
}

static char get(void)
{
    struct buffer *down = &_SEGGER_RTT.down[0];
    char character;

    while (down->read == down->written) {
    }
    character = down->bytes[down->read];
    down->read = (down->read + 1) % down->size;
    return character;
}

static void start(void)
{
    static const char reversed[] = "TTR REGGES";
    static const uint32_t tty[] = {(uint32_t)":tt", 4, 3};
    uint32_t handle, words[3];

    _SEGGER_RTT.up[0] = (struct buffer){"Terminal", up_bytes, sizeof up_bytes, 0, 0, 2};
    _SEGGER_RTT.down[0] = (struct buffer){"Terminal", down_bytes, sizeof down_bytes, 0, 0, 0};
    _SEGGER_RTT.ups = 2;
    _SEGGER_RTT.downs = 1;
    for (uint32_t i = 0; i < 10; i++) {
        ((volatile char *)_SEGGER_RTT.id)[9 - i] = reversed[i];
    }
    host(4, "by semihosting\n");
    handle = host(1, tty);
    words[0] = handle;
    words[1] = (uint32_t)"through a handle\n";
    words[2] = 17;
    host(5, words);
    host(0x12, words); /* SYS_SYSTEM */
    say("RTT is ready for lines\n");
    for (;;) {
        char line[8];
        uint32_t length = 0;

        for (char c = get(); c != '\r'; c = get()) {
            line[length++ % sizeof line] = c;
            put(c >= 'a' && c <= 'z' ? c - 32 : c);
        }
        put('\n');
        if (length == 3 && line[0] == 'e') {
            words[0] = 0x20026;
            words[1] = 7;
            host(0x20, words);
            say("never\n");
        }
    }
}

__attribute__((section(".vectors"), used)) static const void *const vectors[] = {&stack_top, start};
