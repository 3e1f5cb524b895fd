"""The engine: from clips to trained networks. A library without Django or Celery."""
