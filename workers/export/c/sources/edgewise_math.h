/* Logarithm and exponential of our own: the same bits on every processor, and no library to link.
 *
 * Both follow the single-precision functions of the Cephes library (S. L. Moshier); relative errors are below 2e-7.
 */
#ifndef EDGEWISE_MATH_H
#define EDGEWISE_MATH_H

#include <stdint.h>

#ifdef __GNUC__
/* An instruction where the processor has one, and a call of sqrtf where it has none. */
#define edgewise_sqrt __builtin_sqrtf
#else
#include <math.h>
#define edgewise_sqrt sqrtf
#endif

typedef union {
    float value;
    uint32_t bits;
} edgewise_float_bits;

/* Natural logarithm of a normal positive number. */
static inline float edgewise_log(float x)
{
    edgewise_float_bits mantissa;

    mantissa.value = x;
    /* x = m 2^e with m in [sqrt(1/2), sqrt(2)): 0x3f3504f3 holds sqrt(1/2). */
    const int32_t offset = (int32_t)(mantissa.bits - 0x3f3504f3u);
    const int32_t exponent = offset >> 23;
    mantissa.bits -= (uint32_t)exponent << 23;
    const float e = (float)exponent;
    const float m = mantissa.value - 1.0f;
    float p = 7.0376836292e-2f;
    p = p * m - 1.1514610310e-1f;
    p = p * m + 1.1676998740e-1f;
    p = p * m - 1.2420140846e-1f;
    p = p * m + 1.4249322787e-1f;
    p = p * m - 1.6668057665e-1f;
    p = p * m + 2.0000714765e-1f;
    p = p * m - 2.4999993993e-1f;
    p = p * m + 3.3333331174e-1f;
    const float square = m * m;
    return m + (p * m * square - 2.12194440e-4f * e - 0.5f * square) + 0.693359375f * e;
}

/* e to the power of x; beyond the range of floats, the nearest normal one. */
static inline float edgewise_exp(float x)
{
    edgewise_float_bits power;

    if (x > 88.0f) x = 88.0f;
    if (x < -87.0f) x = -87.0f;
    const float scaled = 1.44269504089f * x;
    const int32_t n = (int32_t)(scaled + (scaled < 0.0f ? -0.5f : 0.5f));
    const float r = (x - 0.693359375f * (float)n) + 2.12194440e-4f * (float)n;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    power.bits = (uint32_t)(n + 127) << 23;
    return (p * r * r + r + 1.0f) * power.value;
}

/* Turn scores into probabilities, in place. */
static inline void edgewise_softmax(float *values, int count)
{
    float highest = values[0];
    float sum = 0.0f;

    for (int i = 1; i < count; i++)
        if (values[i] > highest) highest = values[i];
    for (int i = 0; i < count; i++) {
        values[i] = edgewise_exp(values[i] - highest);
        sum += values[i];
    }
    for (int i = 0; i < count; i++) values[i] /= sum;
}

#endif
