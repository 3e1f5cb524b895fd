/* Log-mel and cepstral features of one window: window, FFT, magnitude, mel bands, logarithm with a floor, DCT-II.
 *
 * A real window of N samples is transformed as N/2 complex numbers (z[n] = x[2n] + i x[2n+1]), in place. Real and
 * imaginary parts lie in arrays of their own, and the twiddle factors of each pass in the order of their use, so that
 * compilers can make vector instructions of the loops.
 */
#include "edgewise_math.h"
#include "edgewise_parts.h"

#define POINTS (EDGEWISE_FFT_POINTS / 2)

/* Write the windowed samples as complex numbers, in bit-reversed order. */
static void load(const float *audio, float *re, float *im)
{
    uint32_t reversed = 0;

    for (uint32_t n = 0; n < POINTS; n++) {
        const uint32_t even = 2 * n, odd = even + 1;
        re[reversed] = even < EDGEWISE_WINDOW_SAMPLES ? audio[even] * edgewise_window[even] : 0.0f;
        im[reversed] = odd < EDGEWISE_WINDOW_SAMPLES ? audio[odd] * edgewise_window[odd] : 0.0f;
        /* Add 1 to the number that is read from its highest bit. */
        uint32_t bit = POINTS / 2;
        while (reversed & bit) {
            reversed ^= bit;
            bit >>= 1;
        }
        reversed |= bit;
    }
}

/* Join pairs of neighbours: what a radix-4 transform of 2 · 4^k points begins with. */
static void radix_2_pass(float *re, float *im)
{
    for (uint32_t k = 0; k < POINTS; k += 2) {
        const float ar = re[k], ai = im[k], br = re[k + 1], bi = im[k + 1];
        re[k] = ar + br;
        im[k] = ai + bi;
        re[k + 1] = ar - br;
        im[k + 1] = ai - bi;
    }
}

/* Join groups of four transforms of `size` points. Bit reversal puts the second and third of them in each other's
 * place. `twiddles` holds cosines and negative sines of w, w^2 and w^3, each for all j. */
static void radix_4_pass(float *re, float *im, uint32_t size, const float *twiddles)
{
    const float *const c1 = twiddles, *const s1 = c1 + size, *const c2 = s1 + size;
    const float *const s2 = c2 + size, *const c3 = s2 + size, *const s3 = c3 + size;

    for (uint32_t first = 0; first < POINTS; first += 4 * size) {
        float *restrict const r0 = re + first, *restrict const i0 = im + first;
        float *restrict const r2 = r0 + size, *restrict const i2 = i0 + size;
        float *restrict const r1 = r2 + size, *restrict const i1 = i2 + size;
        float *restrict const r3 = r1 + size, *restrict const i3 = i1 + size;
        for (uint32_t j = 0; j < size; j++) {
            const float br = r1[j] * c1[j] - i1[j] * s1[j], bi = r1[j] * s1[j] + i1[j] * c1[j];
            const float cr = r2[j] * c2[j] - i2[j] * s2[j], ci = r2[j] * s2[j] + i2[j] * c2[j];
            const float dr = r3[j] * c3[j] - i3[j] * s3[j], di = r3[j] * s3[j] + i3[j] * c3[j];
            const float even_r = r0[j] + cr, even_i = i0[j] + ci, odd_r = r0[j] - cr, odd_i = i0[j] - ci;
            const float sum_r = br + dr, sum_i = bi + di, turned_r = bi - di, turned_i = dr - br;
            r0[j] = even_r + sum_r;
            i0[j] = even_i + sum_i;
            r2[j] = odd_r + turned_r;
            i2[j] = odd_i + turned_i;
            r1[j] = even_r - sum_r;
            i1[j] = even_i - sum_i;
            r3[j] = odd_r - turned_r;
            i3[j] = odd_i - turned_i;
        }
    }
}

static void transform(float *re, float *im)
{
    const float *twiddles = edgewise_butterfly_twiddles;
    uint32_t size = 1;

    if (EDGEWISE_FFT_IS_ODD) {
        radix_2_pass(re, im);
        size = 2;
    }
    for (; size < POINTS; size *= 4) {
        radix_4_pass(re, im, size, twiddles);
        twiddles += 6 * size;
    }
}

/* Take the spectrum X of the real window out of that of the complex numbers, and write |X[k]| over re[k].
 *
 * With E = (Z[k] + Z*[P-k]) / 2 and O = (Z[k] - Z*[P-k]) / 2i: X[k] = E + w^k O and X[P-k] = (E - w^k O)*. No mel band
 * uses the first bin, which is left as it is. */
static void magnitudes(float *re, float *im)
{
    const float *const cosines = edgewise_split_twiddles, *const sines = cosines + POINTS / 2 + 1;

    for (uint32_t k = 1; k <= POINTS / 2; k++) {
        const uint32_t mirror = POINTS - k;
        const float er = 0.5f * (re[k] + re[mirror]), ei = 0.5f * (im[k] - im[mirror]);
        const float odd_r = 0.5f * (im[k] + im[mirror]), odd_i = 0.5f * (re[mirror] - re[k]);
        const float tr = odd_r * cosines[k] - odd_i * sines[k], ti = odd_r * sines[k] + odd_i * cosines[k];
        const float ar = er + tr, ai = ei + ti, br = er - tr, bi = ei - ti;
        re[k] = edgewise_sqrt(ar * ar + ai * ai);
        re[mirror] = edgewise_sqrt(br * br + bi * bi);
    }
}

/* A bin between two edges belongs to the band that rises there and to the one before, which falls as much. */
static void mel_bands(const float *magnitude, float *bands)
{
    const float *rising = edgewise_rising;

    for (int band = 0; band < EDGEWISE_MEL_BANDS; band++) bands[band] = 0.0f;
    for (int edge = 0; edge <= EDGEWISE_MEL_BANDS; edge++) {
        float up = 0.0f, down = 0.0f;
        for (uint32_t bin = edgewise_first_bins[edge]; bin < edgewise_first_bins[edge + 1]; bin++) {
            up += *rising * magnitude[bin];
            down += (1.0f - *rising) * magnitude[bin];
            rising++;
        }
        if (edge < EDGEWISE_MEL_BANDS) bands[edge] += up;
        if (edge > 0) bands[edge - 1] += down;
    }
}

static void logarithms(float *bands)
{
    for (int band = 0; band < EDGEWISE_MEL_BANDS; band++)
        bands[band] = edgewise_log(bands[band] > EDGEWISE_LOG_EPSILON ? bands[band] : EDGEWISE_LOG_EPSILON);
}

void edgewise_compute_features(const float *audio, float *spectrum, float *features)
{
    float *const re = spectrum, *const im = spectrum + POINTS;

    load(audio, re, im);
    transform(re, im);
    magnitudes(re, im);
#if EDGEWISE_CEPSTRAL
    float bands[EDGEWISE_MEL_BANDS];

    mel_bands(re, bands);
    logarithms(bands);
    for (int feature = 0; feature < EDGEWISE_FEATURES; feature++) features[feature] = 0.0f;
    for (int band = 0; band < EDGEWISE_MEL_BANDS; band++)
        for (int feature = 0; feature < EDGEWISE_FEATURES; feature++)
            features[feature] += bands[band] * edgewise_cosines[band * EDGEWISE_FEATURES + feature];
#else
    mel_bands(re, features);
    logarithms(features);
#endif
}
