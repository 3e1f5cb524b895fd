/* Print the keywords in a wav file: spot_keywords [--scores] [FILE]. Without FILE it reads standard input.
 *
 * The file has one channel of 16 bits, EDGEWISE_SAMPLE_RATE samples a second. With --scores, it prints all scores of
 * each frame as well.
 */
#include <stdio.h>
#include <string.h>

#include "edgewise.h"

static uint32_t little_endian(const unsigned char *bytes, int count)
{
    uint32_t value = 0;

    while (count-- > 0) value = value << 8 | bytes[count];
    return value;
}

static int skip(FILE *file, uint32_t count)
{
    while (count-- > 0)
        if (fgetc(file) == EOF) return 0;
    return 1;
}

/* Read up to the samples, and set how many bytes they have. Return what is wrong, or 0. */
static const char *open_wav(FILE *file, uint32_t *bytes)
{
    unsigned char head[12], chunk[8], format[16];
    int known = 0;

    if (fread(head, 1, 12, file) != 12 || memcmp(head, "RIFF", 4) != 0 || memcmp(head + 8, "WAVE", 4) != 0)
        return "this is no wav file";
    while (fread(chunk, 1, 8, file) == 8) {
        const uint32_t length = little_endian(chunk + 4, 4);
        if (memcmp(chunk, "data", 4) == 0) {
            *bytes = length;
            return known ? 0 : "the format is missing";
        }
        if (memcmp(chunk, "fmt ", 4) != 0) {
            if (!skip(file, length + (length & 1))) break;
            continue;
        }
        if (length < 16 || fread(format, 1, 16, file) != 16 || !skip(file, length - 16 + (length & 1))) break;
        if (little_endian(format + 2, 2) != 1 || little_endian(format + 14, 2) != 16)
            return "it must have one channel of 16 bits";
        if (little_endian(format + 4, 4) != EDGEWISE_SAMPLE_RATE) return "it has another sample rate";
        known = 1;
    }
    return "it ends before its samples";
}

static void print_scores(const edgewise_state *spotter, double seconds)
{
    printf("%.3f", seconds);
    for (int label = 0; label < EDGEWISE_LABELS; label++) printf(" %.6f", (double)edgewise_logits(spotter)[label]);
    printf("\n");
}

/* Writers to pipes, which cannot know the end, claim more than there is: both the claim and the file may end it. */
static void spot(FILE *file, uint32_t left, int with_scores)
{
    static edgewise_state spotter;
    unsigned char bytes[2 * EDGEWISE_STRIDE_SAMPLES];
    int16_t samples[EDGEWISE_STRIDE_SAMPLES];
    double seconds = 0.0;
    size_t count;

    edgewise_reset(&spotter);
    while ((count = fread(bytes, 2, left / 2 < EDGEWISE_STRIDE_SAMPLES ? left / 2 : EDGEWISE_STRIDE_SAMPLES, file)) > 0) {
        left -= 2 * (uint32_t)count;
        const uint32_t frames = edgewise_frames(&spotter);
        for (size_t i = 0; i < count; i++) samples[i] = (int16_t)little_endian(bytes + 2 * i, 2);
        seconds += (double)count / EDGEWISE_SAMPLE_RATE;
        const int label = edgewise_feed_int16(&spotter, samples, count);
        if (with_scores && edgewise_frames(&spotter) > frames) print_scores(&spotter, seconds);
        if (label != EDGEWISE_NOTHING) printf("%.3f %s\n", seconds, edgewise_labels[label]);
    }
}

int main(int argc, char **argv)
{
    const int with_scores = argc > 1 && strcmp(argv[1], "--scores") == 0;
    const char *const path = argc > 1 + with_scores ? argv[1 + with_scores] : 0;
    FILE *const file = path ? fopen(path, "rb") : stdin;
    uint32_t bytes = 0;
    const char *const problem = file ? open_wav(file, &bytes) : "it cannot be opened";

    if (problem) {
        fprintf(stderr, "%s: %s.\n", path ? path : "standard input", problem);
        return 1;
    }
    spot(file, bytes, with_scores);
    return 0;
}
