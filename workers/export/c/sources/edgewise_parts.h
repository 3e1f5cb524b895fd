/* What the files of the library know of each other. Programs need edgewise.h alone. */
#ifndef EDGEWISE_PARTS_H
#define EDGEWISE_PARTS_H

#include "edgewise.h"

typedef enum {
    EDGEWISE_LINEAR,
    EDGEWISE_RELU,
    EDGEWISE_SIGMOID,
    EDGEWISE_SOFTMAX,
    EDGEWISE_SWISH
} edgewise_activation;

/* A dense layer: activation(input · kernel + bias). The kernel lies as edgewise_arithmetic.h wants it. */
typedef struct {
    const edgewise_weight *kernel;
    const float *bias;
#ifdef EDGEWISE_INT8
    const float *sum_scales; /* of each unit: the value of 1 in its integer sum */
    float output_steps;      /* integer steps of the output that make 1 */
#endif
    uint16_t inputs;
    uint16_t units;
    uint8_t activation;
} edgewise_layer;

/* A Legendre memory of each channel: m <- A m + B u, in which A and B are the same for all channels. */
typedef struct {
    const edgewise_constant *transition; /* A, (order, order) */
    const edgewise_constant *column;     /* B, (order,) */
#ifdef EDGEWISE_INT8
    uint8_t shift; /* binary places of A and B */
#endif
    uint8_t order;
} edgewise_memory;

/* Weighted sums of each channel's memory. */
typedef struct {
    const edgewise_weight *weights;
#ifdef EDGEWISE_INT8
    const float *scales; /* of each sum: from its integer to the output's */
#endif
    uint8_t count; /* of each channel; 0: the dense layer reads the memory itself */
} edgewise_filters;

/* A stage computes input -> [memory] -> [filters] -> layer -> [projection] -> [+ input]. A recurrent stage's layer
 * reads memory, input and its own last output. */
typedef struct {
    edgewise_memory memory;
    edgewise_filters filters;
    edgewise_layer layer;
    edgewise_layer projection; /* without units: none */
#ifdef EDGEWISE_INT8
    float input_scale; /* the value of 1 in the input */
#endif
    uint16_t channels;
    uint8_t stride;
    uint8_t residual;
    uint8_t recurrent;
} edgewise_stage;

/* Tables in edgewise_model.c. */
extern const float edgewise_window[EDGEWISE_WINDOW_SAMPLES];
extern const float edgewise_butterfly_twiddles[EDGEWISE_BUTTERFLY_TWIDDLES];
extern const float edgewise_split_twiddles[EDGEWISE_FFT_POINTS / 2 + 2];
extern const uint16_t edgewise_first_bins[EDGEWISE_MEL_BANDS + 2];
extern const float edgewise_rising[EDGEWISE_MEL_BINS];
#if EDGEWISE_CEPSTRAL
extern const float edgewise_cosines[EDGEWISE_MEL_BANDS * EDGEWISE_FEATURES];
#endif
extern const float edgewise_input_factor[EDGEWISE_FEATURES];
extern const float edgewise_input_offset[EDGEWISE_FEATURES];
extern const edgewise_stage edgewise_stages[EDGEWISE_STAGES];
extern const edgewise_layer edgewise_readout;
extern const uint16_t edgewise_keywords[EDGEWISE_KEYWORDS];

/* Compute the features of one window; `spectrum` is scratch. */
void edgewise_compute_features(const float *audio, float *spectrum, float *features);

/* Let the network take the newest features. */
void edgewise_compute_logits(edgewise_state *state);

#endif
