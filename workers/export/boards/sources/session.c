/* Hears what a host sends over a serial port, and answers with scores: the protocol of nengo_edge's MicroRunner.
 *
 * Control bytes are letters; all numbers are little-endian float32, without length or checksum: both sides know how
 * many there are.
 *
 *     to the board:    board R, host N or T and numbers, board S         (T: initial states follow the samples)
 *     from the board:  host R, board T and scores, host S, or F to get them once more
 *
 * A session is one number to the board, how many slices of EDGEWISE_STRIDE_SAMPLES samples there are in all clips;
 * then, of each clip, the samples that the first window needs before its first slice; and, slice by slice, samples to
 * the board and scores from it. A clip has CLIP_SLICES slices: the host never says so. A number that is no multiple of
 * that is one clip of another length.
 */
#include "board.h"
#include "edgewise.h"

#define SUCCESS 'S'
#define FAILURE 'F'
#define REQUEST 'R'
#define WITHOUT_STATES 'N'
#define WITH_STATES 'T'

/* A host that is silent for so long in a session has gone. It never computes in between. */
#define PATIENCE_MS 10000u
/* How often the board asks for a session. */
#define INVITATION_MS 1000u
/* Silence that ends what a host says at once. */
#define QUIET_MS 250u

#define FLOAT_BYTES 4u
#define BURST_BYTES (1u + FLOAT_BYTES)
#define PRIMER_SAMPLES (EDGEWISE_WINDOW_SAMPLES - EDGEWISE_STRIDE_SAMPLES)
/* As `state_shapes` in parameters.json: the phase, where there is one, and the memories and hidden states. */
#define STATES (EDGEWISE_STATE_VALUES + (EDGEWISE_PERIOD > 1 ? 1u : 0u))
/* Up to here every whole number is a float. */
#define MOST_SLICES 16777216.0f

typedef union {
    float value;
    uint32_t bits;
} number;

static edgewise_state spotter;
static float samples[EDGEWISE_WINDOW_SAMPLES];

static float decoded(const uint8_t *bytes)
{
    number decoded;

    decoded.bits = bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
    return decoded.value;
}

static void encode(float value, uint8_t *bytes)
{
    number encoded;

    encoded.value = value;
    for (int i = 0; i < (int)FLOAT_BYTES; i++) bytes[i] = (uint8_t)(encoded.bits >> 8 * i);
}

static void say(uint8_t control)
{
    board_write(&control, 1);
}

/* Return 0 where the host has gone. */
static int read_float(float *value)
{
    uint8_t bytes[FLOAT_BYTES];

    for (int i = 0; i < (int)FLOAT_BYTES; i++) {
        const int byte = board_read(PATIENCE_MS);
        if (byte == BOARD_SILENCE) return 0;
        bytes[i] = (uint8_t)byte;
    }
    *value = decoded(bytes);
    return 1;
}

/* Ask for samples, and let the network hear them. Return 0 where the host has gone. */
static int hear(size_t count)
{
    float state;
    int answer;

    say(REQUEST);
    while ((answer = board_read(PATIENCE_MS)) != WITHOUT_STATES && answer != WITH_STATES) {
        if (answer == BOARD_SILENCE) return 0;
        if (answer == FAILURE) say(REQUEST);
    }
    for (size_t i = 0; i < count; i++)
        if (!read_float(&samples[i])) return 0;
    /* The host sends zeros, which each clip begins with anyway. */
    for (size_t i = 0; answer == WITH_STATES && i < STATES; i++)
        if (!read_float(&state)) return 0;
    edgewise_feed_float(&spotter, samples, count);
    say(SUCCESS);
    return 1;
}

/* Send the scores as often as the host asks for them. Return 0 where it has gone. */
static int answer(void)
{
    uint8_t message[1 + FLOAT_BYTES * EDGEWISE_LABELS] = {WITH_STATES};
    int byte;

    for (int i = 0; i < EDGEWISE_LABELS; i++) encode(edgewise_logits(&spotter)[i], message + 1 + FLOAT_BYTES * i);
    while ((byte = board_read(PATIENCE_MS)) != SUCCESS) {
        if (byte == BOARD_SILENCE) return 0;
        if (byte == REQUEST) board_write(message, sizeof message);
    }
    return 1;
}

static void serve(uint32_t slices)
{
    const uint32_t clip_slices = slices % CLIP_SLICES == 0 ? CLIP_SLICES : slices;

    for (uint32_t slice = 0; slice < slices; slice++) {
        if (slice % clip_slices == 0) {
            edgewise_reset(&spotter);
            if (!hear(PRIMER_SAMPLES)) return;
        }
        if (!hear(EDGEWISE_STRIDE_SAMPLES) || !answer()) return;
    }
}

/* Read how many slices a host announces; 0 where it says nothing, or nothing that makes sense.
 *
 * A host that takes its time finds several invitations, takes each for a new one, and says the same several times.
 */
static uint32_t announced_slices(void)
{
    uint8_t burst[BURST_BYTES];
    uint32_t count = 0;

    for (int byte = board_read(INVITATION_MS); byte != BOARD_SILENCE; byte = board_read(QUIET_MS))
        burst[count++ % BURST_BYTES] = (uint8_t)byte;
    if (count == 0 || count % BURST_BYTES != 0 || burst[0] != WITHOUT_STATES) return 0;
    const float slices = decoded(burst + 1);
    if (!(slices >= 1.0f && slices <= MOST_SLICES)) return 0;
    return (float)(uint32_t)slices == slices ? (uint32_t)slices : 0;
}

/* Invite a host until one begins a session. Without invitations it would wait for 30 s before it says anything. */
static uint32_t next_session(void)
{
    for (;;) {
        say(REQUEST);
        const uint32_t slices = announced_slices();
        if (slices == 0) continue;
        say(SUCCESS);
        /* A host that took an earlier invitation for this answer wants a new one. */
        if (board_read(QUIET_MS) != FAILURE) return slices;
    }
}

int main(void)
{
    board_start();
    for (;;) serve(next_session());
}
