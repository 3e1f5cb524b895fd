/* Arithmetic in float32.
 *
 * Everything is computed for EDGEWISE_BLOCK values at once, in loops of that fixed length, of which compilers make
 * vector instructions. So a memory holds coefficient by coefficient the values of all channels, and a kernel lies in
 * blocks of units, (blocks, inputs, EDGEWISE_BLOCK), with zeros behind the last unit.
 */
#ifndef EDGEWISE_ARITHMETIC_H
#define EDGEWISE_ARITHMETIC_H

#include "edgewise_parts.h"

static inline float edgewise_real(float value, float scale)
{
    (void)scale;
    return value;
}

static inline float edgewise_stored(float value, float steps)
{
    (void)steps;
    return value;
}

static inline float edgewise_output_steps(const edgewise_layer *layer)
{
    (void)layer;
    return 1.0f;
}

static inline float edgewise_input_scale_of(const edgewise_stage *stage)
{
    (void)stage;
    return 1.0f;
}

static inline int edgewise_block_length(int count, int first)
{
    return count - first < EDGEWISE_BLOCK ? count - first : EDGEWISE_BLOCK;
}

/* block += factors · rows, for rows (count, EDGEWISE_BLOCK): four at once, because the block goes through memory. */
static inline void edgewise_add_products(const float *factors, const float *rows, int count, float *block)
{
    int i = 0;

    for (; i + 4 <= count; i += 4, rows += 4 * EDGEWISE_BLOCK)
        for (int j = 0; j < EDGEWISE_BLOCK; j++)
            block[j] += factors[i] * rows[j] + factors[i + 1] * rows[EDGEWISE_BLOCK + j] +
                        factors[i + 2] * rows[2 * EDGEWISE_BLOCK + j] + factors[i + 3] * rows[3 * EDGEWISE_BLOCK + j];
    for (; i < count; i++, rows += EDGEWISE_BLOCK)
        for (int j = 0; j < EDGEWISE_BLOCK; j++) block[j] += factors[i] * rows[j];
}

/* sums = input · kernel + bias */
static inline void edgewise_multiply(const edgewise_layer *layer, const float *input, float *sums)
{
    const float *kernel = layer->kernel;

    for (int first = 0; first < layer->units; first += EDGEWISE_BLOCK) {
        const int length = edgewise_block_length(layer->units, first);
        float block[EDGEWISE_BLOCK] = {0};
        edgewise_add_products(input, kernel, layer->inputs, block);
        for (int j = 0; j < length; j++) sums[first + j] = block[j] + layer->bias[first + j];
        kernel += layer->inputs * EDGEWISE_BLOCK;
    }
}

/* m <- A m + B u for each channel */
static inline void edgewise_update_memory(const edgewise_memory *memory, int channels, const float *input,
                                          float *values)
{
    const int order = memory->order;

    for (int first = 0; first < channels; first += EDGEWISE_BLOCK) {
        const int length = edgewise_block_length(channels, first);
        float before[EDGEWISE_HIGHEST_ORDER * EDGEWISE_BLOCK] = {0};
        for (int i = 0; i < order; i++)
            for (int j = 0; j < length; j++) before[i * EDGEWISE_BLOCK + j] = values[i * channels + first + j];
        for (int i = 0; i < order; i++) {
            float block[EDGEWISE_BLOCK] = {0};
            edgewise_add_products(memory->transition + i * order, before, order, block);
            for (int j = 0; j < length; j++)
                values[i * channels + first + j] = block[j] + memory->column[i] * input[first + j];
        }
    }
}

/* read = weighted sums of each channel's coefficients; weights are (count, order, channels) */
static inline void edgewise_filter_memory(const edgewise_stage *stage, const float *memory, float *read)
{
    const int channels = stage->channels, order = stage->memory.order;
    const float *weights = stage->filters.weights;

    for (int filter = 0; filter < stage->filters.count; filter++, read += channels) {
        for (int c = 0; c < channels; c++) read[c] = 0.0f;
        for (int i = 0; i < order; i++, weights += channels)
            for (int c = 0; c < channels; c++) read[c] += weights[c] * memory[i * channels + c];
    }
}

#endif
