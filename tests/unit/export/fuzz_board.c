/* A board whose host is drawn by lot, from the variable SEED, for READS bytes. It mostly keeps to the protocol, and sometimes says anything.
 *
 * Ends with 1 if a score that the board sends is not finite, or if it sent none.
 */
#include <stdlib.h>

#include "board.h"
#include "edgewise.h"

#define PRIMER (EDGEWISE_WINDOW_SAMPLES - EDGEWISE_STRIDE_SAMPLES)
#define STATES (EDGEWISE_STATE_VALUES + (EDGEWISE_PERIOD > 1 ? 1 : 0))
#define SCORE_BYTES (1 + 4 * EDGEWISE_LABELS)
#define MOST (1 << 20)

static uint32_t random_state;
static uint8_t spoken[MOST];
static size_t next_byte, end;
/* Bursts that the host has said since the session began: the first is the number of slices. */
static unsigned long bursts, slices, reads_left, answers;

/* Xorshift (Marsaglia 2003). */
static uint32_t random_bits(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 17;
    random_state ^= random_state << 5;
    return random_state;
}

static void speak(uint8_t byte)
{
    if (end < MOST) spoken[end++] = byte;
}

static void speak_float(float value)
{
    union {
        float value;
        uint32_t bits;
    } number;

    number.value = value;
    for (int i = 0; i < 4; i++) speak((uint8_t)(number.bits >> 8 * i));
}

static void speak_any(size_t count)
{
    for (size_t i = 0; i < count; i++) speak((uint8_t)random_bits());
}

/* Say what a host says when it is asked for a burst. */
static void speak_burst(void)
{
    /* Bursts of a clip: primer, first slice with states, other slices. */
    const unsigned long place = bursts == 0 ? 0 : (bursts - 1) % (CLIP_SLICES + 1);

    if (bursts == 1 + slices / CLIP_SLICES * (CLIP_SLICES + 1)) bursts = 0;
    if (bursts == 0) {
        slices = CLIP_SLICES * (1 + random_bits() % 3);
        speak('N');
        speak_float((float)slices);
    } else {
        speak(place == 1 ? 'T' : 'N');
        speak_any(4 * (place == 0 ? PRIMER : EDGEWISE_STRIDE_SAMPLES) + (place == 1 ? 4 * STATES : 0));
    }
    bursts++;
}

static void speak_nonsense(void)
{
    static const char controls[] = "SFRNT";

    switch (random_bits() % 4) {
    case 0: return; /* the host has gone */
    case 1: speak_any(random_bits() % 3000); return;
    case 2: speak((uint8_t)controls[random_bits() % 5]); return;
    default:
        speak('N');
        speak_float((float)(int32_t)random_bits());
    }
}

void board_start(void)
{
    random_state = (uint32_t)strtoul(getenv("SEED"), 0, 10) * 2654435761u + 1;
    reads_left = strtoul(getenv("READS"), 0, 10);
}

int board_read(uint32_t milliseconds)
{
    (void)milliseconds;
    if (reads_left-- == 0) exit(answers == 0);
    if (next_byte < end) return spoken[next_byte++];
    next_byte = end = 0;
    if (random_bits() % 16 == 0) speak_nonsense();
    /* Silence ends a session, but also what the host says at its start. */
    if (end == 0 && bursts > 1) bursts = 0;
    return BOARD_SILENCE;
}

void board_write(const uint8_t *bytes, size_t count)
{
    if (random_bits() % 200 == 0) {
        speak_nonsense();
        return;
    }
    if (count == SCORE_BYTES) {
        for (int i = 0; i < EDGEWISE_LABELS; i++)
            if ((bytes[4 + 4 * i] & 0x7F) == 0x7F && (bytes[3 + 4 * i] & 0x80)) exit(EXIT_FAILURE);
        answers++;
        speak(random_bits() % 20 == 0 ? 'F' : 'S');
        if (spoken[end - 1] == 'F') speak('R');
    } else if (bytes[0] == 'R') {
        speak_burst();
    } else if (bursts > 1 && (bursts - 1) % (CLIP_SLICES + 1) != 1) {
        speak('R'); /* a slice was heard, and not a primer */
    }
}
