/* What firmware computes all day, in calls, branches and memory: a list, a matrix, a checksum, a state machine, a copy.
 * Runs for ever, for bench/rates.py; counts its rounds where that looks. */
#include <stdint.h>

static volatile uint32_t counter;

enum { ITEMS = 64, SIDE = 8, TEXT = 96 };

struct item {
    struct item *next;
    int16_t key, value;
};

static struct item items[ITEMS];
static int32_t left[SIDE][SIDE], right[SIDE][SIDE], product[SIDE][SIDE];
static char text[TEXT];
static uint8_t copy[TEXT];

__attribute__((noinline)) static uint16_t crc16(uint16_t crc, uint8_t byte)
{
    for (int bit = 0; bit < 8; bit++) {
        uint16_t carry = (crc ^ byte) & 1;
        crc >>= 1;
        byte >>= 1;
        if (carry)
            crc ^= 0xA001;
    }
    return crc;
}

__attribute__((noinline)) static struct item *reversed(struct item *list)
{
    struct item *done = 0;
    while (list) {
        struct item *next = list->next;
        list->next = done;
        done = list;
        list = next;
    }
    return done;
}

__attribute__((noinline)) static struct item *find(struct item *list, int16_t key)
{
    while (list && list->key != key)
        list = list->next;
    return list;
}

__attribute__((noinline)) static int32_t multiply(void)
{
    int32_t trace = 0;
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++) {
            int32_t sum = 0;
            for (int k = 0; k < SIDE; k++)
                sum += left[i][k] * right[k][j];
            product[i][j] = sum;
            if (i == j)
                trace += sum;
        }
    return trace;
}

enum state { START, NUMBER, FRACTION, WORD, BAD };

__attribute__((noinline)) static enum state step(enum state state, char c)
{
    switch (state) {
    case START:
        return c >= '0' && c <= '9' ? NUMBER : c == '.' ? FRACTION : c >= 'a' ? WORD : BAD;
    case NUMBER:
        return c == '.' ? FRACTION : c >= '0' && c <= '9' ? NUMBER : c == ',' ? START : BAD;
    case FRACTION:
        return c >= '0' && c <= '9' ? FRACTION : c == ',' ? START : BAD;
    case WORD:
        return c == ',' ? START : WORD;
    default:
        return c == ',' ? START : BAD;
    }
}

__attribute__((noinline)) static void copy_text(uint8_t *to, const char *from, uint32_t size)
{
    while (size--)
        *to++ = (uint8_t)*from++;
}

static void round_of(uint32_t number)
{
    uint16_t crc = 0xFFFF;
    enum state state = START;
    struct item *list = reversed(&items[number & 1 ? 0 : ITEMS - 1]);
    for (int16_t key = 0; key < 8; key++) {
        struct item *found = find(list, (int16_t)(key * 7));
        crc = crc16(crc, (uint8_t)(found ? found->value : key));
    }
    left[number & 7][number >> 3 & 7] = (int32_t)crc;
    crc ^= (uint16_t)multiply();
    for (int i = 0; i < TEXT; i++) {
        state = step(state, text[i]);
        crc = crc16(crc, (uint8_t)state);
    }
    copy_text(copy, text, TEXT);
    text[number % TEXT] = (char)('0' + crc % 75);
}

void reset(void)
{
    for (int i = 0; i < ITEMS; i++)
        items[i] = (struct item){i + 1 < ITEMS ? &items[i + 1] : 0, (int16_t)i, (int16_t)(i * 5)};
    for (int i = 0; i < SIDE; i++)
        for (int j = 0; j < SIDE; j++)
            left[i][j] = i + j, right[i][j] = i - j;
    for (int i = 0; i < TEXT; i++)
        text[i] = "12.5,word,7,99x,"[i & 15];
    for (uint32_t number = 0;; number++) {
        round_of(number);
        counter = number + 1;
    }
}
