# earthcode-pack as an image: the wheel on the versions of the lock, as a user without rights.
#
#   docker build -t earthcode-pack .
#   docker run --rm -v "$PWD:/data" -u "$(id -u):$(id -g)" earthcode-pack run profiles/sst-zarr.yaml --workdir work
#
# .ci/run does not build the image; it tests the same wheel on the same lock.
FROM python:3.13-slim AS wheel
WORKDIR /src
COPY requirements/build.txt requirements/
RUN pip install --no-cache-dir --require-hashes -r requirements/build.txt
COPY pyproject.toml README.md LICENSE ./
COPY earthcode_pack earthcode_pack
COPY flows flows
RUN pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /wheel .

FROM python:3.13-slim
# libexpat1: rasterio's wheels take it from the system. git: for catalog.metadata given as a git URL.
RUN apt-get update \
    && apt-get install -y --no-install-recommends git libexpat1 \
    && rm -rf /var/lib/apt/lists/*
COPY requirements/run.txt /tmp/
RUN pip install --no-cache-dir --require-hashes -r /tmp/run.txt && rm /tmp/run.txt
COPY --from=wheel /wheel /tmp/wheel
RUN pip install --no-cache-dir --no-deps /tmp/wheel/*.whl && rm -r /tmp/wheel
# A home that any user may write: the caches of schemas and of Prefect are there, whoever -u names.
RUN useradd --uid 1000 --create-home --home-dir /home/pack pack && chmod 1777 /home/pack
ENV HOME=/home/pack PYTHONUNBUFFERED=1
USER pack
WORKDIR /data
ENTRYPOINT ["earthcode-pack"]
CMD ["--help"]
