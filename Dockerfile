# The agent. Redis and the broker come from docker-compose.yml.
FROM python:3.11-slim

ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    LONGWATCH_CONFIG=/config/longwatch.yaml

RUN useradd --create-home --uid 1000 longwatch \
    && mkdir -p /data /config /home/longwatch/.cache \
    && chown longwatch:longwatch /data /home/longwatch/.cache
WORKDIR /opt/longwatch

# torch first and by its exact version, in a layer of its own: it is large and changes least.
COPY constraints.txt ./
RUN pip install --no-cache-dir "$(grep '^torch==' constraints.txt)"

COPY pyproject.toml README.md LICENSE ./
COPY agent ./agent
COPY ingest ./ingest
COPY memory ./memory
RUN pip install --no-cache-dir --constraint constraints.txt .

USER longwatch
WORKDIR /data
VOLUME /data
HEALTHCHECK --interval=30s --timeout=20s --start-period=120s --retries=3 \
    CMD ["longwatch", "status"]
CMD ["longwatch", "run", "--config", "/config/longwatch.yaml"]
