/* The network, one frame at a time. edgewise_arithmetic.h holds what differs between float32 and int8. */
#include "edgewise_arithmetic.h"
#include "edgewise_math.h"
#include "edgewise_parts.h"

static void activate(float *values, int count, int activation)
{
    switch (activation) {
    case EDGEWISE_RELU:
        for (int i = 0; i < count; i++) values[i] = values[i] > 0.0f ? values[i] : 0.0f;
        break;
    case EDGEWISE_SIGMOID:
        for (int i = 0; i < count; i++) values[i] = 1.0f / (1.0f + edgewise_exp(-values[i]));
        break;
    case EDGEWISE_SWISH:
        for (int i = 0; i < count; i++) values[i] = values[i] / (1.0f + edgewise_exp(-values[i]));
        break;
    case EDGEWISE_SOFTMAX:
        edgewise_softmax(values, count);
        break;
    default:
        break;
    }
}

/* Compute a layer; the values of `added`, where it is given, are worth `added_scale` each. */
static void compute_layer(const edgewise_layer *layer, const edgewise_value *input, const edgewise_value *added,
                          float added_scale, float *sums, edgewise_value *output)
{
    edgewise_multiply(layer, input, sums);
    activate(sums, layer->units, layer->activation);
    if (added)
        for (int i = 0; i < layer->units; i++) sums[i] += edgewise_real(added[i], added_scale);
    for (int i = 0; i < layer->units; i++) output[i] = edgewise_stored(sums[i], edgewise_output_steps(layer));
}

static void copy(const edgewise_value *from, int count, edgewise_value *to)
{
    for (int i = 0; i < count; i++) to[i] = from[i];
}

/* Gather what a recurrent stage's layer reads: memory, input, and its own last output. */
static void join(const edgewise_stage *stage, const edgewise_value *states, const edgewise_value *input,
                 edgewise_value *joined)
{
    const int memory = stage->channels * stage->memory.order;

    copy(states, memory, joined);
    copy(input, stage->channels, joined + memory);
    copy(states + memory, stage->layer.units, joined + memory + stage->channels);
}

static int state_values(const edgewise_stage *stage)
{
    return stage->channels * stage->memory.order + (stage->recurrent ? stage->layer.units : 0);
}

/* Let a stage's memory take its input, and return what its layer reads. */
static const edgewise_value *remember(const edgewise_stage *stage, const edgewise_value *input,
                                      edgewise_value *states, edgewise_value *read)
{
    if (stage->memory.order == 0) return input;
    edgewise_update_memory(&stage->memory, stage->channels, input, states);
    if (stage->recurrent) {
        join(stage, states, input, read);
        return read;
    }
    return states;
}

static void normalise(const float *features, float *sums, edgewise_value *signal)
{
    for (int i = 0; i < EDGEWISE_FEATURES; i++)
        sums[i] = features[i] * edgewise_input_factor[i] + edgewise_input_offset[i];
    for (int i = 0; i < EDGEWISE_FEATURES; i++) signal[i] = edgewise_stored(sums[i], EDGEWISE_INPUT_STEPS);
}

void edgewise_compute_logits(edgewise_state *state)
{
    edgewise_value *signal = state->signals[0], *output = state->signals[1], *states = state->states;
    uint32_t period = 1;
    const uint32_t phase = state->phase;

    state->phase = phase + 1 < EDGEWISE_PERIOD ? phase + 1 : 0;
    normalise(state->features, state->sums, signal);
    for (int index = 0; index < EDGEWISE_STAGES; index++) {
        const edgewise_stage *const stage = &edgewise_stages[index];
        const edgewise_layer *const last = stage->projection.units ? &stage->projection : &stage->layer;
        const edgewise_value *const added = stage->residual ? signal : 0;
        const float added_scale = edgewise_input_scale_of(stage);
        const edgewise_value *read = remember(stage, signal, states, state->read);

        /* A strided stage remembers every frame. What follows it waits, so the scores stay as they are. */
        period *= stage->stride;
        if (phase % period != 0) return;

        if (stage->filters.count > 0) {
            edgewise_filter_memory(stage, read, state->read);
            read = state->read;
        }
        if (last == &stage->projection) {
            compute_layer(&stage->layer, read, 0, 0.0f, state->sums, state->signals[2]);
            read = state->signals[2];
        }
        compute_layer(last, read, added, added_scale, state->sums, output);
        if (stage->recurrent) copy(output, stage->layer.units, states + stage->channels * stage->memory.order);
        states += state_values(stage);

        edgewise_value *const taken = signal;
        signal = output;
        output = taken;
    }
    edgewise_multiply(&edgewise_readout, signal, state->logits);
}
