/* Arithmetic in integers: weights in 8 bits with a scale for each unit, values and memories in 16 bits.
 *
 * The generator chose the scales so that no sum can leave 32 bits, whatever the audio, and that no memory can leave 16
 * bits as long as its input does not. Each channel's memory lies together, and so do the weights of each unit.
 */
#ifndef EDGEWISE_ARITHMETIC_H
#define EDGEWISE_ARITHMETIC_H

#include "edgewise_parts.h"

static inline int16_t edgewise_saturated(int32_t value)
{
    if (value > INT16_MAX) return INT16_MAX;
    if (value < -INT16_MAX) return -INT16_MAX;
    return (int16_t)value;
}

static inline float edgewise_real(int16_t value, float scale)
{
    return (float)value * scale;
}

/* Round to the nearest step; `steps` of them make 1. */
static inline int16_t edgewise_stored(float value, float steps)
{
    const float scaled = value * steps;

    if (scaled > (float)INT16_MAX) return INT16_MAX;
    if (scaled < -(float)INT16_MAX) return -INT16_MAX;
    return (int16_t)(scaled + (scaled < 0.0f ? -0.5f : 0.5f));
}

static inline float edgewise_output_steps(const edgewise_layer *layer)
{
    return layer->output_steps;
}

static inline float edgewise_input_scale_of(const edgewise_stage *stage)
{
    return stage->input_scale;
}

static inline int32_t edgewise_dot(const int8_t *weights, const int16_t *values, int count)
{
    int32_t sum = 0;

    for (int i = 0; i < count; i++) sum += (int32_t)weights[i] * values[i];
    return sum;
}

/* sums = input · kernel + bias */
static inline void edgewise_multiply(const edgewise_layer *layer, const int16_t *input, float *sums)
{
    const int8_t *weights = layer->kernel;

    for (int unit = 0; unit < layer->units; unit++, weights += layer->inputs)
        sums[unit] = (float)edgewise_dot(weights, input, layer->inputs) * layer->sum_scales[unit] + layer->bias[unit];
}

/* m <- A m + B u for each channel, rounded to the nearest */
static inline void edgewise_update_memory(const edgewise_memory *memory, int channels, const int16_t *input,
                                          int16_t *values)
{
    const int order = memory->order;
    const int32_t half = (int32_t)1 << (memory->shift - 1);

    for (int channel = 0; channel < channels; channel++, values += order) {
        const int16_t *row = memory->transition;
        int16_t before[EDGEWISE_HIGHEST_ORDER];
        for (int i = 0; i < order; i++) before[i] = values[i];
        for (int i = 0; i < order; i++, row += order) {
            int32_t sum = half + (int32_t)memory->column[i] * input[channel];
            for (int k = 0; k < order; k++) sum += (int32_t)row[k] * before[k];
            /* All compilers shift the sign in, though the standard leaves it to them. */
            values[i] = edgewise_saturated(sum >> memory->shift);
        }
    }
}

/* read = weighted sums of each channel's coefficients; weights are (channels, count, order) */
static inline void edgewise_filter_memory(const edgewise_stage *stage, const int16_t *memory, int16_t *read)
{
    const int order = stage->memory.order, count = stage->filters.count;
    const int8_t *weights = stage->filters.weights;
    const float *scale = stage->filters.scales;

    for (int channel = 0; channel < stage->channels; channel++, memory += order)
        for (int filter = 0; filter < count; filter++, weights += order)
            *read++ = edgewise_stored((float)edgewise_dot(weights, memory, order) * *scale++, 1.0f);
}

#endif
