"""The C library: portable C99 that computes a trained network, from audio to detections."""
