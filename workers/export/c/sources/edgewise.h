/* A keyword spotter: audio in, labels out. Portable C99, no allocation, no dependency but sqrtf.
 *
 *     static edgewise_state spotter;
 *     edgewise_reset(&spotter);
 *     for (;;) {
 *         int label = edgewise_feed_int16(&spotter, samples, count);
 *         if (label != EDGEWISE_NOTHING) puts(edgewise_labels[label]);
 *     }
 *
 * Blocks may have any length, and the result does not depend on how a stream is cut into them. Every stream needs a
 * state of its own; functions with different states may run at the same time.
 */
#ifndef EDGEWISE_H
#define EDGEWISE_H

#include <stddef.h>
#include <stdint.h>

#include "edgewise_model.h"

#ifdef __cplusplus
extern "C" {
#endif

#define EDGEWISE_NOTHING (-1)

/* All that a stream needs. Its size is known when you compile, so it can be a static variable. */
typedef struct {
    float audio[EDGEWISE_WINDOW_SAMPLES];
    float spectrum[EDGEWISE_FFT_POINTS];
    float features[EDGEWISE_FEATURES];
    edgewise_value states[EDGEWISE_STATE_VALUES];
    edgewise_value signals[3][EDGEWISE_WIDEST_LAYER];
    edgewise_value read[EDGEWISE_WIDEST_READ];
    float sums[EDGEWISE_WIDEST_LAYER];
    float logits[EDGEWISE_LABELS];
    float probabilities[EDGEWISE_LABELS];
    float history[EDGEWISE_SMOOTHING_FRAMES][EDGEWISE_KEYWORDS];
    float threshold;
    uint32_t frames;
    uint32_t phase;
    uint32_t waiting;
    uint32_t filled;
} edgewise_state;

#define EDGEWISE_STATE_BYTES sizeof(edgewise_state)

/* The same, for programs that only link the library. */
size_t edgewise_state_bytes(void);

/* Names of the outputs, in their order. */
extern const char *const edgewise_labels[EDGEWISE_LABELS];

/* Begin a new stream, with the threshold that the network was measured with. */
void edgewise_reset(edgewise_state *state);

/* Take the next samples (mono, EDGEWISE_SAMPLE_RATE a second). Floats are in [-1, 1]; what is no number counts as 0.
 *
 * Return the label that was detected, or EDGEWISE_NOTHING. After a detection nothing is detected for
 * EDGEWISE_REFRACTORY_FRAMES frames; of a block that is longer than that, the last detection is returned.
 */
int edgewise_feed_float(edgewise_state *state, const float *samples, size_t count);
int edgewise_feed_int16(edgewise_state *state, const int16_t *samples, size_t count);

/* Probability from which on a keyword is detected; edgewise_reset sets it back. */
void edgewise_set_threshold(edgewise_state *state, float threshold);

/* Frames since the stream began: one when the first window is full, and one more every EDGEWISE_STRIDE_SAMPLES. */
uint32_t edgewise_frames(const edgewise_state *state);

/* Of the newest frame: EDGEWISE_FEATURES features, EDGEWISE_LABELS scores, and the scores as probabilities. All are 0
 * before the first frame. Feed at most EDGEWISE_STRIDE_SAMPLES samples at a time to see every frame. */
const float *edgewise_features(const edgewise_state *state);
const float *edgewise_logits(const edgewise_state *state);
const float *edgewise_probabilities(const edgewise_state *state);

#ifdef __cplusplus
}
#endif

#endif
