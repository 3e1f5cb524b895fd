/* One stream for WebAssembly: the program writes samples to edgewise_block, and calls edgewise_feed_block. */
#include "edgewise.h"

static edgewise_state spotter;
static float block[EDGEWISE_STRIDE_SAMPLES];

float *edgewise_block(void)
{
    return block;
}

uint32_t edgewise_block_samples(void)
{
    return EDGEWISE_STRIDE_SAMPLES;
}

int edgewise_feed_block(uint32_t count)
{
    return edgewise_feed_float(&spotter, block, count < EDGEWISE_STRIDE_SAMPLES ? count : EDGEWISE_STRIDE_SAMPLES);
}

void edgewise_begin(void)
{
    edgewise_reset(&spotter);
}

void edgewise_threshold(float threshold)
{
    edgewise_set_threshold(&spotter, threshold);
}

uint32_t edgewise_frame_count(void)
{
    return edgewise_frames(&spotter);
}

const float *edgewise_scores(void)
{
    return edgewise_logits(&spotter);
}

const float *edgewise_shares(void)
{
    return edgewise_probabilities(&spotter);
}

const float *edgewise_heard(void)
{
    return edgewise_features(&spotter);
}
