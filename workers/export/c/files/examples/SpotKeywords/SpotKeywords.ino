// Prints the keywords that a PDM microphone hears. Not tested on hardware.
#include <PDM.h>
#include <edgewise.h>

// The interrupt fills one block while the others wait to be heard.
enum { BLOCKS = 4, BLOCK_SAMPLES = 256 };

static edgewise_state spotter;
static int16_t blocks[BLOCKS][BLOCK_SAMPLES];
static int counts[BLOCKS];
static volatile uint8_t filled = 0;  // Written by the interrupt alone.
static volatile uint8_t heard = 0;   // Written by the loop alone.

static void take_samples() {
  static int16_t lost[BLOCK_SAMPLES];
  if ((uint8_t)(filled - heard) == BLOCKS) {
    PDM.read(lost, sizeof lost);
    return;
  }
  const int block = filled % BLOCKS;
  counts[block] = PDM.read(blocks[block], sizeof blocks[block]) / (int)sizeof blocks[block][0];
  filled = filled + 1;
}

void setup() {
  Serial.begin(115200);
  edgewise_reset(&spotter);
  PDM.onReceive(take_samples);
  if (!PDM.begin(1, EDGEWISE_SAMPLE_RATE)) {
    Serial.println("The microphone does not start.");
    while (true) {}
  }
}

void loop() {
  if (filled == heard) return;
  const int block = heard % BLOCKS;
  const int label = edgewise_feed_int16(&spotter, blocks[block], counts[block]);
  heard = heard + 1;
  if (label != EDGEWISE_NOTHING) Serial.println(edgewise_labels[label]);
}
