/** What cannot be started here is checked as far as it can be: schemas, and that the parts fit each other and the code. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { z } from "zod";
import { readCodecSettings } from "../../client/codec-settings.js";
import { readSettings } from "../../worker/settings.js";
import { readTelemetrySettings } from "../../worker/telemetry-settings.js";
import { TASK_QUEUES } from "../../workflows/messages.js";
import { manifestsIn, problemsOf, type Manifest } from "./manifests.js";
import { scrapedTargets } from "./scraped-targets.js";

const WORKER = "deploy/kubernetes";
const CODEC_SERVER = "deploy/kubernetes/codec-server";
const worker = manifestsIn(WORKER);
const codecServer = manifestsIn(CODEC_SERVER);
const everything = [...worker, ...codecServer];

function only(kind: string, among: readonly Manifest[] = worker): Manifest {
  const [found, another] = among.filter((one) => one.kind === kind);
  if (found === undefined || another !== undefined) throw new Error(`not one ${kind}`);
  return found;
}

const secured = z.looseObject({
  name: z.string(),
  image: z.literal("modelfleet-worker"),
  args: z.array(z.string()),
  env: z.array(z.object({ name: z.string(), value: z.string() })),
  ports: z.array(z.object({ name: z.string(), containerPort: z.int() })),
  // For these two, and only these, the pod's own cannot be set.
  securityContext: z.strictObject({
    allowPrivilegeEscalation: z.literal(false),
    readOnlyRootFilesystem: z.literal(true),
    capabilities: z.strictObject({ drop: z.tuple([z.literal("ALL")]) }),
  }),
  livenessProbe: z.looseObject({ httpGet: z.object({ path: z.string(), port: z.string() }) }),
  readinessProbe: z.looseObject({ httpGet: z.object({ path: z.string(), port: z.string() }) }),
  volumeMounts: z.array(z.looseObject({ mountPath: z.string(), readOnly: z.literal(true) })),
  resources: z.object({
    requests: z.object({ cpu: z.string(), memory: z.string() }),
    limits: z.strictObject({ memory: z.string() }),
  }),
});
const deploymentSchema = z.looseObject({
  spec: z.looseObject({
    selector: z.object({ matchLabels: z.record(z.string(), z.string()) }),
    template: z.object({
      metadata: z.object({
        labels: z.record(z.string(), z.string()),
        annotations: z.record(z.string(), z.string()).default({}),
      }),
      spec: z.looseObject({
        automountServiceAccountToken: z.literal(false),
        terminationGracePeriodSeconds: z.int().optional(),
        securityContext: z.object({
          runAsNonRoot: z.literal(true),
          runAsUser: z.int().min(1),
          runAsGroup: z.int().min(1),
          fsGroup: z.int(),
          seccompProfile: z.object({ type: z.literal("RuntimeDefault") }),
        }),
        containers: z.tuple([secured]),
        volumes: z.array(z.looseObject({ secret: z.looseObject({ secretName: z.string() }) })),
      }),
    }),
  }),
});
const podOf = (among: readonly Manifest[]) =>
  deploymentSchema.parse(only("Deployment", among)).spec.template.spec;
const containerOf = (among: readonly Manifest[]) => podOf(among).containers[0];
const environmentOf = (among: readonly Manifest[]): Record<string, string> =>
  Object.fromEntries(containerOf(among).env.map(({ name, value }) => [name, value]));
const portOf = (name: string) =>
  containerOf(worker).ports.find((one) => one.name === name)?.containerPort;
const settings = z
  .looseObject({ data: z.record(z.string(), z.string()) })
  .parse(only("ConfigMap")).data;

describe("every manifest", () => {
  test.each(everything.map((one) => [`${one.kind} ${one.metadata.name}`, one] as const))(
    "%s fits its schema, and has no field that it does not know",
    (_, manifest) => {
      expect(problemsOf(manifest)).toEqual([]);
    },
  );

  test("is refused by this test with a field misspelt or of a wrong type", () => {
    const { spec, ...rest } = z.looseObject({ spec: z.looseObject({}) }).parse(only("Deployment"));
    const deployment = { ...rest, ...only("Deployment") };
    expect(problemsOf({ ...deployment, spec: { ...spec, replica: 2 } })).toEqual([
      "/spec/replica is no field of apps/v1 Deployment",
    ]);
    expect(problemsOf({ ...deployment, spec: { ...spec, replicas: "two" } })[0]).toMatch(
      /replicas/,
    );
  });

  test.each([
    [WORKER, worker],
    [CODEC_SERVER, codecServer],
  ])("of %s is in its kustomization, with the image of this version", (folder, manifests) => {
    const kustomization = z
      .object({
        namespace: z.literal("modelfleet"),
        resources: z.array(z.string()),
        images: z.tuple([z.looseObject({ name: z.string(), newTag: z.string() })]),
      })
      .loose()
      .parse(parse(readFileSync(join(folder, "kustomization.yaml"), "utf8")));
    const files = new Set(manifests.map(({ file }) => file));
    expect(new Set(kustomization.resources)).toEqual(files);
    const { version } = JSON.parse(readFileSync("package.json", "utf8")) as { version: string };
    expect(kustomization.images).toMatchObject([{ name: "modelfleet-worker", newTag: version }]);
  });

  test("selects the pods that are meant", () => {
    for (const among of [worker, codecServer]) {
      const { selector, template } = deploymentSchema.parse(only("Deployment", among)).spec;
      expect(template.metadata.labels).toEqual(selector.matchLabels);
      expect(only("NetworkPolicy", among)).toMatchObject({ spec: { podSelector: selector } });
    }
    const { selector } = deploymentSchema.parse(only("Deployment")).spec;
    expect(only("PodDisruptionBudget")).toMatchObject({ spec: { selector } });
    const { matchLabels } = deploymentSchema.parse(only("Deployment", codecServer)).spec.selector;
    expect(only("Service", codecServer)).toMatchObject({ spec: { selector: matchLabels } });
  });
});

describe("the worker's pod", () => {
  const environment = { ...settings, ...environmentOf(worker) };

  test("has settings that the worker takes, its secrets by reference", async () => {
    const secrets = Object.keys(environment).filter((name) => name.endsWith("_FILE"));
    expect(secrets.sort()).toEqual([
      "MODELFLEET_ENCRYPTION_KEYS_FILE",
      "MODELFLEET_LEDGER_URL_FILE",
      "TEMPORAL_API_KEY_FILE",
      "WAREHOUSE_URL_FILE",
    ]);
    const [{ mountPath = "" } = {}] = containerOf(worker).volumeMounts;
    for (const name of secrets) expect(environment[name]).toMatch(new RegExp(`^${mountPath}/`));
    const { MODELFLEET_LEDGER_URL_FILE: _, ...rest } = environment;
    const read = await readSettings({ ...rest, MODELFLEET_LEDGER_URL: "postgres://ledger" });
    expect(read.health).toEqual({
      host: "0.0.0.0",
      port: portOf("health"),
    });
  });

  test("shows its metrics where Prometheus looks for them, as the job that dashboard and alerts name", () => {
    expect(readTelemetrySettings(environment).metricsAddress).toBe(`0.0.0.0:${portOf("metrics")}`);
    const { annotations, labels } = deploymentSchema.parse(only("Deployment")).spec.template
      .metadata;
    const ports = containerOf(worker).ports.map(({ containerPort }) => containerPort);
    const pod = { address: "10.0.0.7", annotations, labels, ports };
    const { targets, job } = scrapedTargets("deploy/prometheus/kubernetes.yaml", pod);
    expect(targets).toEqual([`10.0.0.7:${portOf("metrics")}`]);
    expect(job).toBe("modelfleet");
    const without = { ...pod, annotations: {} };
    expect(scrapedTargets("deploy/prometheus/kubernetes.yaml", without).targets).toEqual([]);
  });

  test("lets in the probes, and Prometheus to the metrics, and nobody else", () => {
    const policy = z
      .looseObject({
        spec: z.looseObject({
          ingress: z.array(
            z.strictObject({
              from: z.array(z.looseObject({})).optional(),
              ports: z.array(z.strictObject({ protocol: z.literal("TCP"), port: z.string() })),
            }),
          ),
        }),
      })
      .parse(only("NetworkPolicy"));
    const open = policy.spec.ingress.map(({ from, ports }) => ({
      anybody: from === undefined,
      ports: ports.map(({ port }) => port),
    }));
    expect(open).toEqual([
      { anybody: true, ports: ["health"] },
      { anybody: false, ports: ["metrics"] },
    ]);
    const named = containerOf(worker).ports.map(({ name }) => name);
    expect(open.flatMap(({ ports }) => ports)).toEqual(named);
  });

  test("gives the worker longer to end than it takes", () => {
    const { terminationGracePeriodSeconds = 30 } = podOf(worker);
    const longest = Number(environment.MODELFLEET_SHUTDOWN_SECONDS);
    expect(terminationGracePeriodSeconds).toBeGreaterThanOrEqual(longest + 10);
  });

  test("is asked for what the worker answers, at a port that it names", () => {
    const { livenessProbe, readinessProbe, ports } = containerOf(worker);
    const asked = [livenessProbe, readinessProbe].map(({ httpGet }) => httpGet.path);
    expect(asked).toEqual(["/health/live", "/health/ready"]);
    expect(ports.map(({ name }) => name)).toContain(livenessProbe.httpGet.port);
  });

  test("leaves room beside Node's heap", () => {
    const heap = /--max-old-space-size=(\d+)/.exec(environment.NODE_OPTIONS ?? "")?.[1];
    expect(containerOf(worker).resources.limits.memory).toBe("2Gi");
    expect(Number(heap)).toBeLessThan(2048 * 0.75);
  });
});

describe("the autoscaler", () => {
  const scaled = z
    .looseObject({
      spec: z.looseObject({
        scaleTargetRef: z.looseObject({ name: z.string(), envSourceContainerName: z.string() }),
        triggers: z.array(
          z.strictObject({
            type: z.literal("temporal"),
            // Those that KEDA's Temporal scaler takes (https://keda.sh/docs/2.18/scalers/temporal/), lists joined by commas.
            metadata: z.strictObject({
              endpointFromEnv: z.string(),
              namespace: z.string(),
              taskQueue: z.string(),
              queueTypes: z.enum(["workflow", "activity", "workflow,activity"]),
              targetQueueSize: z.string().regex(/^\d+$/),
            }),
            authenticationRef: z.object({ name: z.string() }),
          }),
        ),
      }),
    })
    .parse(only("ScaledObject")).spec;

  test("looks at both task queues, where the workers look", () => {
    const queues = scaled.triggers.map(({ metadata }) => metadata.taskQueue);
    expect(queues.sort()).toEqual(Object.values(TASK_QUEUES).sort());
    for (const { metadata } of scaled.triggers) {
      expect(metadata.namespace).toBe(settings.TEMPORAL_NAMESPACE);
      expect(settings[metadata.endpointFromEnv]).toBeDefined();
    }
  });

  test("scales the worker's deployment, with a key from the same secret", () => {
    const { name, envSourceContainerName } = scaled.scaleTargetRef;
    expect(name).toBe(only("Deployment").metadata.name);
    expect(envSourceContainerName).toBe(containerOf(worker).name);
    const key = only("TriggerAuthentication");
    for (const { authenticationRef } of scaled.triggers)
      expect(authenticationRef.name).toBe(key.metadata.name);
    const file = settings.TEMPORAL_API_KEY_FILE?.split("/").at(-1);
    const [{ secret } = { secret: { secretName: "" } }] = podOf(worker).volumes;
    expect(key).toMatchObject({
      spec: { secretTargetRef: [{ parameter: "apiKey", name: secret.secretName, key: file }] },
    });
  });
});

describe("the codec server's pod", () => {
  test("has settings that it takes, and lets nobody in without authorization", async () => {
    const { MODELFLEET_ENCRYPTION_KEYS_FILE: file, ...rest } = environmentOf(codecServer);
    expect(file).toBe(settings.MODELFLEET_ENCRYPTION_KEYS_FILE);
    const keys = { MODELFLEET_ENCRYPTION_KEYS: `a:${Buffer.alloc(32).toString("base64")}` };
    const read = await readCodecSettings({ ...rest, ...keys }, false);
    expect(read.namespace).toBe(settings.TEMPORAL_NAMESPACE);
    expect(read.port).toBe(containerOf(codecServer).ports[0]?.containerPort);
    expect(read.access).toBeDefined();
    expect(await read.access?.(undefined)).toBeUndefined();
    expect(containerOf(codecServer).args).toEqual(["codec-server"]);
  });
});
