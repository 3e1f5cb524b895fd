"""From trained weights to files for devices: no Django, no Celery, usable as a library."""
