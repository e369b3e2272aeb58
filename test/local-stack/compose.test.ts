import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseEnv } from "node:util";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { z } from "zod";
import { SEARCH_ATTRIBUTES } from "../../fleet/search-attributes.js";
import { configSchema } from "../../local/sagemaker/config.schema.js";
import { environmentOf } from "../../local/stack/environment.js";
import { packageRoot } from "../../local/stack/package-root.js";
import { DATABASES } from "../../local/stack/postgres.js";
import { readTelemetrySettings } from "../../worker/telemetry-settings.js";

const dependencySchema = z.object({
  condition: z.enum(["service_healthy", "service_completed_successfully"]),
});
const serviceSchema = z.object({
  image: z.string(),
  build: z.union([z.string(), z.object({ context: z.string(), target: z.string() })]).optional(),
  ports: z.array(z.string()).default([]),
  volumes: z.array(z.string()).default([]),
  healthcheck: z.object({ test: z.array(z.string()).min(2) }).optional(),
  depends_on: z.record(z.string(), dependencySchema).default({}),
  env_file: z.string().optional(),
  environment: z.record(z.string(), z.string()).default({}),
  restart: z.string(),
});
const composeSchema = z.object({
  services: z.record(z.string(), serviceSchema),
  volumes: z.record(z.string(), z.null()),
});

const root = packageRoot();
const read = (...path: string[]) => readFileSync(join(root, ...path), "utf8");
const compose = composeSchema.parse(parse(read("docker-compose.yml"), { merge: true }));
const services = Object.entries(compose.services);
const workerEnvironment = parseEnv(read("docker", "worker.env"));
const clientEnvironment = parseEnv(read("docker", "client.env"));

describe("docker-compose.yml", () => {
  test("has the parts of the embedded stack and a worker", () => {
    expect(Object.keys(compose.services).sort()).toEqual([
      "postgres",
      "s3",
      "s3-bucket",
      "sagemaker",
      "temporal",
      "temporal-namespace",
      "temporal-postgres",
      "temporal-schema",
      "temporal-ui",
      "worker",
    ]);
  });

  test("publishes ports on the loopback address only, each once", () => {
    const published = services.flatMap(([, { ports }]) => ports);
    expect(published.filter((port) => !/^127\.0\.0\.1:\d+:\d+$/.test(port))).toEqual([]);
    const hostPorts = published.map((port) => port.split(":")[1]);
    expect(hostPorts.sort()).toEqual(["7230", "7231", "7232", "7233", "7234", "9464"]);
  });

  test("shows the worker's metrics where deploy/prometheus looks for them", () => {
    const { environment = {}, ports = [] } = compose.services.worker ?? {};
    const { metricsAddress } = readTelemetrySettings(environment);
    const port = metricsAddress?.replace(/^0\.0\.0\.0:/, "") ?? "";
    const [target] = /127\.0\.0\.1:\d+/.exec(read("deploy", "prometheus", "prometheus.yaml")) ?? [];
    expect(ports).toEqual([`${target}:${port}`]);
  });

  test.each(services)("%s has a pinned image", (_, { image }) => {
    expect(image).toMatch(/^[a-z/-]+:\d+\.\d+(\.\d+)?(-[a-z]+)?$/);
  });

  test("whatever others reach by a port has a health check", () => {
    const unchecked = services.filter(
      ([, { ports, healthcheck }]) => ports.length > 0 && healthcheck === undefined,
    );
    expect(unchecked).toEqual([]);
  });

  test("who waits for a service waits for something that it can become", () => {
    for (const [name, { depends_on: dependencies }] of services) {
      for (const [awaited, { condition }] of Object.entries(dependencies)) {
        const service = compose.services[awaited];
        const canBecome = condition === "service_healthy" ? "healthcheck" : "ends";
        expect({ name, awaited, canBecome }).toEqual({
          name,
          awaited,
          canBecome: service?.healthcheck === undefined ? "ends" : "healthcheck",
        });
        if (canBecome === "ends") expect(service?.restart).toMatch(/^on-failure:\d+$/);
      }
    }
  });

  test("mounts files that exist, and volumes that are declared", () => {
    const sources = services.flatMap(([, { volumes }]) => volumes.map((one) => one.split(":")[0]));
    for (const source of sources) {
      if (source?.startsWith("./") === true) expect(existsSync(join(root, source))).toBe(true);
      else expect(Object.keys(compose.volumes)).toContain(source);
    }
  });

  test("makes every database and registers every search attribute", () => {
    const made = read("docker", "databases.sql");
    const others = DATABASES.filter((database) => database !== "warehouse");
    for (const database of others) expect(made).toContain(`CREATE DATABASE ${database};`);
    const registered = /^for attribute in (.*); do$/m.exec(read("docker", "temporal-namespace.sh"));
    expect(registered?.[1]?.split(" ").sort()).toEqual(Object.values(SEARCH_ATTRIBUTES).sort());
  });
});

describe("the compose stack's settings", () => {
  const embedded = environmentOf({
    format: "modelfleet-stack/1",
    name: "local",
    basePort: 7230,
    postgresPassword: "modelfleet",
    userKeys: { accessKeyId: "AKIA", secretAccessKey: "secret" },
    sagemakerKeys: { accessKeyId: "AKIB", secretAccessKey: "secret" },
    sessionKey: "",
    accounts: [],
  });

  test("are those of the embedded stack, on the same ports", () => {
    const keys = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"].map((name) => [
      name,
      clientEnvironment[name],
    ]);
    expect(clientEnvironment).toEqual({ ...embedded, ...Object.fromEntries(keys) });
  });

  test("of the worker name services where the client's name this machine", () => {
    const { MODELFLEET_ENV_FILE, ...settings } = workerEnvironment;
    expect(MODELFLEET_ENV_FILE).toBe("");
    expect(Object.keys(settings)).toEqual(Object.keys(clientEnvironment));
    for (const name of Object.keys(settings).filter((one) => one.startsWith("AWS_ENDPOINT"))) {
      expect(compose.services[new URL(settings[name] ?? "").hostname]).toBeDefined();
    }
  });

  test("of the SageMaker server are valid, with keys that S3 and the worker know", () => {
    const config = configSchema.parse(JSON.parse(read("docker", "sagemaker.json")));
    const users = z
      .object({
        identities: z.array(
          z.object({
            credentials: z.array(z.object({ accessKey: z.string(), secretKey: z.string() })),
          }),
        ),
      })
      .parse(JSON.parse(read("docker", "s3-users.json")));
    const known = users.identities.flatMap(({ credentials }) => credentials);
    const { accessKeyId, secretAccessKey } = config.s3;
    expect(known).toContainEqual({ accessKey: accessKeyId, secretKey: secretAccessKey });
    const worker = {
      accessKeyId: workerEnvironment.AWS_ACCESS_KEY_ID,
      secretAccessKey: workerEnvironment.AWS_SECRET_ACCESS_KEY,
    };
    expect(config.accounts[0]?.accessKeys).toContainEqual({ ...worker, user: "local" });
    expect(known).toContainEqual({
      accessKey: worker.accessKeyId,
      secretKey: worker.secretAccessKey,
    });
    expect(compose.services.sagemaker?.ports).toEqual([`127.0.0.1:${config.port}:${config.port}`]);
  });
});

describe("the Dockerfile", () => {
  const dockerfile = read("Dockerfile");

  const stages = () =>
    dockerfile.split(/^(?=FROM )/m).flatMap((text) => {
      const [, from, name] = /^FROM (\S+)(?: AS (\S+))?$/m.exec(text) ?? [];
      return from === undefined
        ? []
        : [{ from, name, text, user: /^USER (\S+)$/m.exec(text)?.[1] }];
    });

  test("copies what exists, and installs Python packages by hash only", () => {
    const copied = [...dockerfile.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap((match) =>
      (match[1] ?? "").split(" "),
    );
    expect(copied.length).toBeGreaterThan(3);
    for (const path of copied) expect(existsSync(join(root, path))).toBe(true);
    const installs = dockerfile.match(/pip install[^&]*/g) ?? [];
    expect(installs.length).toBe(2);
    for (const install of installs) expect(install).toContain("--require-hashes");
  });

  test("runs as a user who is not root, on a pinned image", () => {
    expect(stages().map(({ user }) => user)).toEqual([undefined, undefined, "1000:1000", "node"]);
    const images = stages().map(({ from }) => from);
    expect(new Set(images.filter((image) => image !== "build"))).toEqual(
      new Set(["node:20.20.2-bookworm-slim"]),
    );
  });

  test("of the worker has no Python, and gets nothing from the sources but what was built", () => {
    const worker = stages().find(({ name }) => name === "worker");
    expect(worker?.text).not.toMatch(/python|pip /);
    const copied = [...(worker?.text ?? "").matchAll(/^COPY (.+)$/gm)].map(([, what]) => what);
    expect(copied.every((what) => what?.startsWith("--from=worker-files /app/"))).toBe(true);
    expect(worker?.text).toContain('ENTRYPOINT ["node", "/app/bin/modelfleet.js"]');
    expect(compose.services.worker?.build).toEqual({ context: ".", target: worker?.name });
  });
});
