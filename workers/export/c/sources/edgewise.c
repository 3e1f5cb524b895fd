/* The stream: samples become windows, windows frames, frames scores, and scores detections. */
#include "edgewise.h"
#include "edgewise_math.h"
#include "edgewise_parts.h"

/* Far above full scale, so that it alters no recording, and low enough for every score to stay finite. */
#define LOUDEST 8.0f

static float finite_sample(float sample)
{
    if (sample > LOUDEST) return LOUDEST;
    if (sample < -LOUDEST) return -LOUDEST;
    return sample == sample ? sample : 0.0f;
}

size_t edgewise_state_bytes(void)
{
    return EDGEWISE_STATE_BYTES;
}

void edgewise_reset(edgewise_state *state)
{
    unsigned char *const bytes = (unsigned char *)state;

    for (size_t i = 0; i < EDGEWISE_STATE_BYTES; i++) bytes[i] = 0;
    state->threshold = EDGEWISE_THRESHOLD;
}

static void store_probabilities(edgewise_state *state)
{
    for (int label = 0; label < EDGEWISE_LABELS; label++) state->probabilities[label] = state->logits[label];
    edgewise_softmax(state->probabilities, EDGEWISE_LABELS);

    float *newest = state->history[state->frames % EDGEWISE_SMOOTHING_FRAMES];
    for (int keyword = 0; keyword < EDGEWISE_KEYWORDS; keyword++)
        newest[keyword] = state->probabilities[edgewise_keywords[keyword]];
    state->frames++;
}

/* Posterior smoothing (Chen, Parada & Heigold 2014, equation 1), threshold, and a pause after each detection. */
static int decide(edgewise_state *state)
{
    const uint32_t heard =
        state->frames < EDGEWISE_SMOOTHING_FRAMES ? state->frames : EDGEWISE_SMOOTHING_FRAMES;
    float highest = -1.0f;
    int best = 0;

    if (state->waiting > 0) {
        state->waiting--;
        return EDGEWISE_NOTHING;
    }
    for (int keyword = 0; keyword < EDGEWISE_KEYWORDS; keyword++) {
        float sum = 0.0f;
        for (uint32_t frame = 0; frame < heard; frame++) sum += state->history[frame][keyword];
        if (sum > highest) {
            highest = sum;
            best = keyword;
        }
    }
    if (highest / (float)heard < state->threshold) return EDGEWISE_NOTHING;
    state->waiting = EDGEWISE_REFRACTORY_FRAMES - 1;
    return edgewise_keywords[best];
}

/* Work on a full window, and keep the part of it that belongs to the next one, too. */
static int next_frame(edgewise_state *state)
{
    edgewise_compute_features(state->audio, state->spectrum, state->features);
    state->filled = EDGEWISE_WINDOW_SAMPLES - EDGEWISE_STRIDE_SAMPLES;
    for (uint32_t i = 0; i < state->filled; i++) state->audio[i] = state->audio[i + EDGEWISE_STRIDE_SAMPLES];
    edgewise_compute_logits(state);
    store_probabilities(state);
    return decide(state);
}

/* How many of `count` samples the window still takes. */
static size_t room_for(const edgewise_state *state, size_t count)
{
    const size_t room = EDGEWISE_WINDOW_SAMPLES - state->filled;

    return count < room ? count : room;
}

static int taken(edgewise_state *state, size_t count, int detected)
{
    state->filled += (uint32_t)count;
    if (state->filled < EDGEWISE_WINDOW_SAMPLES) return detected;
    const int label = next_frame(state);
    return label == EDGEWISE_NOTHING ? detected : label;
}

int edgewise_feed_float(edgewise_state *state, const float *samples, size_t count)
{
    int detected = EDGEWISE_NOTHING;

    while (count > 0) {
        const size_t part = room_for(state, count);
        for (size_t i = 0; i < part; i++) state->audio[state->filled + i] = finite_sample(samples[i]);
        detected = taken(state, part, detected);
        samples += part;
        count -= part;
    }
    return detected;
}

int edgewise_feed_int16(edgewise_state *state, const int16_t *samples, size_t count)
{
    int detected = EDGEWISE_NOTHING;

    while (count > 0) {
        const size_t part = room_for(state, count);
        for (size_t i = 0; i < part; i++) state->audio[state->filled + i] = (float)samples[i] / 32768.0f;
        detected = taken(state, part, detected);
        samples += part;
        count -= part;
    }
    return detected;
}

void edgewise_set_threshold(edgewise_state *state, float threshold)
{
    state->threshold = threshold;
}

uint32_t edgewise_frames(const edgewise_state *state)
{
    return state->frames;
}

const float *edgewise_features(const edgewise_state *state)
{
    return state->features;
}

const float *edgewise_logits(const edgewise_state *state)
{
    return state->logits;
}

const float *edgewise_probabilities(const edgewise_state *state)
{
    return state->probabilities;
}
