# Two stages: the first has pip and the locked packages' hashes, the second only what runs.
# A digest gets no security updates by itself: raise it now and then (docker buildx imagetools inspect python:3.11-slim).
ARG PYTHON=python:3.11.13-slim-bookworm@sha256:86adf8dbadc3d6e82ee5dd2c74bec2e1c2467cdad47886280501df722372d2e1
FROM ${PYTHON} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
COPY requirements/prod.txt /tmp/prod.txt
RUN python -m venv /venv \
    && /venv/bin/pip install --require-hashes --no-deps -r /tmp/prod.txt

FROM ${PYTHON}
ENV PATH="/venv/bin:$PATH" \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
WORKDIR /app
# The code belongs to root: the process can read it, not change it. `data` is for SQLite, unless PostgreSQL is used.
RUN groupadd --gid 10001 metka \
    && useradd --uid 10001 --gid metka --no-create-home --home-dir /app --shell /usr/sbin/nologin metka \
    && mkdir -m 700 /app/data \
    && chown metka:metka /app/data
COPY --from=build /venv /venv
COPY pyproject.toml ./
COPY storage storage
COPY migrations migrations
COPY services services
COPY bot bot
USER 10001:10001
VOLUME /app/data
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen('http://127.0.0.1:%s/healthz' % (os.environ.get('HTTP_PORT') or 8010), timeout=4)"]
ENTRYPOINT ["python", "-m", "bot"]
