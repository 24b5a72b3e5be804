# One image for every role of riskflow: `docker run riskflow worker`, `... serve`, `... migrate` (docs/deployment.md).
ARG PYTHON=3.13-slim-trixie

FROM python:${PYTHON} AS build
WORKDIR /src
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_ROOT_USER_ACTION=ignore
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY schemas schemas
COPY producers producers
COPY streams streams
COPY consumers consumers
COPY ops ops
# Wheels only: nothing is compiled, here or later. Versions are those of constraints.txt; the cache is a mount.
# hadolint ignore=DL3013,DL3042
RUN --mount=type=cache,target=/var/cache/pip \
    pip wheel --cache-dir /var/cache/pip --only-binary=:all: --constraint constraints.txt --wheel-dir /wheels '.[export,netcdf]' \
    && python -m venv --without-pip /opt/riskflow \
    && pip --python /opt/riskflow/bin/python install --no-index --find-links /wheels 'riskflow[export,netcdf]' \
    && pip --python /opt/riskflow/bin/python check

FROM python:${PYTHON}
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="riskflow" \
      org.opencontainers.image.description="Climate risk and student risk as streams of small messages, on Kafka and PostgreSQL" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}"
# The numbers are fixed, so that volumes and files of the host can be given to them. A named volume takes over
# the owner of the folder that it covers.
RUN groupadd --gid 10001 riskflow \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/riskflow --shell /usr/sbin/nologin riskflow \
    && install --directory --owner 10001 --group 10001 --mode 0750 \
        /var/lib/riskflow /var/lib/riskflow/reports /var/cache/riskflow
COPY --from=build /opt/riskflow /opt/riskflow
COPY --chmod=0755 deploy/riskflow-service /usr/local/bin/riskflow-service
# Threads of array libraries only get into each other's way: workers are scaled by processes.
ENV PATH=/opt/riskflow/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    OMP_NUM_THREADS=1 \
    OPENBLAS_NUM_THREADS=1 \
    NUMBA_NUM_THREADS=1 \
    NUMBA_CACHE_DIR=/var/cache/riskflow \
    LOG_FORMAT=json \
    HEALTH_HOST=0.0.0.0 \
    HEALTH_PORT=9464
WORKDIR /var/lib/riskflow
USER 10001:10001
EXPOSE 8420 9464
HEALTHCHECK --interval=30s --timeout=10s --start-period=180s --retries=3 CMD ["riskflow", "health", "--live"]
ENTRYPOINT ["riskflow"]
CMD ["--help"]
