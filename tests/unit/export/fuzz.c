/* Feeds a library random blocks of any floats and integers: fuzz SEED BLOCKS. Ends with 1 if a score is not finite. */
#include <stdio.h>
#include <stdlib.h>

#include "edgewise.h"

#define LONGEST 3000

static uint32_t random_state;

/* Xorshift (Marsaglia 2003). */
static uint32_t random_bits(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 17;
    random_state ^= random_state << 5;
    return random_state;
}

static float any_float(void)
{
    union {
        uint32_t bits;
        float value;
    } number;

    number.bits = random_bits();
    /* Of random bits one in 256 is infinite or no number, and as few are denormal. */
    switch (random_bits() % 8) {
    case 0: number.bits |= 0x7f800000u; break;
    case 1: number.bits &= 0x807fffffu; break;
    case 2: number.bits = (number.bits & 0x80000000u) | 0x7f800000u; break;
    case 3: number.bits = (number.bits & 0x807fffffu) | 0x3f000000u; break;
    default: break;
    }
    return number.value;
}

int main(int argc, char **argv)
{
    static edgewise_state spotter;

    if (argc != 3) return 2;
    random_state = (uint32_t)strtoul(argv[1], 0, 10) | 1u;
    edgewise_reset(&spotter);
    for (long block = strtol(argv[2], 0, 10); block > 0; block--) {
        /* Blocks of their exact length, so that a step beyond their end is found. */
        const size_t count = 1 + random_bits() % LONGEST;
        float *const floats = malloc(count * sizeof *floats);
        int16_t *const integers = malloc(count * sizeof *integers);
        int label;
        if (!floats || !integers) return 2;
        for (size_t i = 0; i < count; i++) floats[i] = any_float();
        for (size_t i = 0; i < count; i++) integers[i] = (int16_t)random_bits();
        if (random_bits() % 2)
            label = edgewise_feed_float(&spotter, floats, count);
        else
            label = edgewise_feed_int16(&spotter, integers, count);
        free(floats);
        free(integers);
        if (label < EDGEWISE_NOTHING || label >= EDGEWISE_LABELS) return 1;
        for (int i = 0; i < EDGEWISE_LABELS; i++) {
            const float score = edgewise_logits(&spotter)[i], probability = edgewise_probabilities(&spotter)[i];
            if (!(score > -1e30f && score < 1e30f && probability >= 0.0f && probability <= 1.0f)) return 1;
        }
        if (random_bits() % 50 == 0) edgewise_reset(&spotter);
    }
    return 0;
}
