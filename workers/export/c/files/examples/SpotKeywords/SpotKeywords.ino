// Prints the keywords that a PDM microphone hears. Not tested on hardware.
#include <PDM.h>
#include <edgewise.h>

static edgewise_state spotter;
static int16_t samples[256];
static volatile int available = 0;

static void take_samples() {
  available = PDM.read(samples, sizeof samples) / (int)sizeof samples[0];
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
  if (available == 0) return;
  const int label = edgewise_feed_int16(&spotter, samples, available);
  available = 0;
  if (label != EDGEWISE_NOTHING) Serial.println(edgewise_labels[label]);
}
