/* Runs clips on an emulated Cortex-M: reads clips.raw, and prints features, scores and what they cost.
 *
 * clips.raw holds clips of CLIP_SAMPLES 16-bit samples, one after the other. A line for each frame holds its features,
 * a line for each clip its last scores: each the bits of a float in hexadecimal, so that it can be compared with a
 * computer's. Files and output go through semihosting. qemu's -icount shift=0 lets an instruction take one nanosecond,
 * so that a tick of SysTick is INSTRUCTIONS_PER_TICK of them: 1000 divided by its clock in megahertz.
 */
#include "edgewise.h"

#define REGISTER(address) (*(volatile uint32_t *)(address))
#define SYSTICK_CONTROL REGISTER(0xE000E010)
#define SYSTICK_RELOAD REGISTER(0xE000E014)
#define SYSTICK_VALUE REGISTER(0xE000E018)
#define COPROCESSOR_ACCESS REGISTER(0xE000ED88)
#define SYSTICK_MASK 0xFFFFFFu

#define SYS_OPEN 0x01
#define SYS_WRITE0 0x04
#define SYS_READ 0x06
#define SYS_EXIT 0x18
#define EXIT_FINE 0x20026

/* Of the stack: what may not be painted, for `run` itself lies there, and what is. */
#define RESERVED_WORDS 64
#define PAINTED_WORDS 4096
#define PAINT 0xA5A5A5A5u

extern uint32_t flash_begin, flash_end, ram_begin, ram_end, stack_top;
void reset(void);

__attribute__((section(".vectors"), used)) static const void *const vectors[2] = {&stack_top, reset};

static edgewise_state spotter;
static int16_t samples[EDGEWISE_STRIDE_SAMPLES];

static int host(int operation, const void *arguments)
{
    register int r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = arguments;

    __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

static void print_hexadecimal(uint32_t value, char end)
{
    char text[10];

    for (int digit = 0; digit < 8; digit++) text[digit] = "0123456789abcdef"[value >> (28 - 4 * digit) & 15];
    text[8] = end;
    text[9] = 0;
    host(SYS_WRITE0, text);
}

static uint32_t bits_of(float value)
{
    union {
        float value;
        uint32_t bits;
    } number;

    number.value = value;
    return number.bits;
}

static void print_line(const float *values, int count)
{
    for (int i = 0; i < count; i++) print_hexadecimal(bits_of(values[i]), i + 1 < count ? ' ' : '\n');
}

static uint32_t deepest_bytes(const uint32_t *bottom)
{
    uint32_t painted = 0;

    while (painted < PAINTED_WORDS && bottom[painted] == PAINT) painted++;
    return 4 * (PAINTED_WORDS + RESERVED_WORDS - painted);
}

static void run(void)
{
    static const char name[] = "clips.raw";
    const uint32_t open[3] = {(uint32_t)name, 1, sizeof name - 1};
    const uint32_t file = (uint32_t)host(SYS_OPEN, open);
    volatile uint32_t *const bottom = &stack_top - PAINTED_WORDS - RESERVED_WORDS;
    uint32_t ticks = 0, taken = 0, frames = 0;
    uint64_t instructions = 0;

    for (int word = 0; word < PAINTED_WORDS; word++) bottom[word] = PAINT;
    SYSTICK_RELOAD = SYSTICK_MASK;
    SYSTICK_VALUE = 0;
    SYSTICK_CONTROL = 5;
    for (;;) {
        const uint32_t wanted = CLIP_SAMPLES - taken < EDGEWISE_STRIDE_SAMPLES ? CLIP_SAMPLES - taken
                                                                                : EDGEWISE_STRIDE_SAMPLES;
        const uint32_t read[3] = {file, (uint32_t)samples, 2 * wanted};
        if (host(SYS_READ, read) != 0) break;
        if (taken == 0) edgewise_reset(&spotter);
        ticks = SYSTICK_VALUE;
        edgewise_feed_int16(&spotter, samples, wanted);
        instructions += ((ticks - SYSTICK_VALUE) & SYSTICK_MASK) * (uint64_t)INSTRUCTIONS_PER_TICK;
        taken += wanted;
        if (edgewise_frames(&spotter) != frames) print_line(edgewise_features(&spotter), EDGEWISE_FEATURES);
        frames = edgewise_frames(&spotter);
        if (taken == CLIP_SAMPLES) {
            print_line(edgewise_logits(&spotter), EDGEWISE_LABELS);
            taken = frames = 0;
        }
    }
    print_hexadecimal((uint32_t)(instructions >> 32), ' ');
    print_hexadecimal((uint32_t)instructions, ' ');
    print_hexadecimal((uint32_t)&flash_end - (uint32_t)&flash_begin, ' ');
    print_hexadecimal((uint32_t)&ram_end - (uint32_t)&ram_begin, ' ');
    print_hexadecimal(deepest_bytes((const uint32_t *)bottom), '\n');
}

void reset(void)
{
    /* The unit for floating point, where there is one, must be on before a function begins that uses it. */
    COPROCESSOR_ACCESS |= 0xFu << 20;
    __asm__ volatile("dsb\n isb");
    void (*volatile begin)(void) = run;
    begin();
    host(SYS_EXIT, (const void *)EXIT_FINE);
    for (;;) {
    }
}
