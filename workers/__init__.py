"""Everything that needs numpy, TensorFlow or an audio library: tasks, engine, exporters."""
