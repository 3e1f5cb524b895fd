# One image for every role of docker-compose.yml: web, workers, beat and migrations differ by their command alone.
# Checked by hadolint (./edgewise lint); it was written where no Docker engine was at hand to build it.
FROM python:3.11-slim-bookworm

ENV PYTHONUNBUFFERED=1 \
    PYTHONPATH=/app/platform:/app \
    DJANGO_SETTINGS_MODULE=edgewise.settings \
    EDGEWISE_HOME=/var/lib/edgewise

WORKDIR /app
COPY requirements.lock ./
RUN pip install --no-cache-dir --require-hashes --requirement requirements.lock

# CUDA=yes adds the CUDA libraries of the locked TensorFlow, which names their exact versions itself.
ARG CUDA=no
RUN if [ "$CUDA" = yes ]; then \
        version="$(python -c 'from importlib.metadata import version; print(version("tensorflow"))')" \
        && pip install --no-cache-dir "tensorflow[and-cuda]==$version"; \
    fi

COPY . ./
RUN useradd --system --uid 10001 --user-group edgewise \
    && install --directory --owner=edgewise --group=edgewise --mode=0700 \
        /var/lib/edgewise /var/lib/edgewise/cache /var/lib/edgewise/uploads
USER 10001

# The settings want addresses; collecting the static files connects to none of them.
RUN EDGEWISE_SECRET_KEY=unused DATABASE_URL=postgresql://localhost/unused REDIS_URL=redis://localhost \
    python manage.py collectstatic --noinput

EXPOSE 8000
CMD ["python", "-m", "uvicorn", "edgewise.asgi:application", "--host", "0.0.0.0", "--port", "8000", \
     "--workers", "1", "--no-access-log", "--lifespan", "off", "--timeout-graceful-shutdown", "5"]
