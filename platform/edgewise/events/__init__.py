"""Live events: workers publish to Redis, the web fans out to browsers."""
