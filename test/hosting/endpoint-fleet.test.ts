import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { startPythonHost } from "../../local/sagemaker/python-host.js";
import { prefix, deployTestEndpoint, textInference } from "./endpoint.js";
import type { TestEndpointOptions } from "./endpoint.js";
import { tarGz, tarGzOf } from "./artifacts.js";
import { eventually, pythonPath, sharedHost, temporaryFolder } from "./python.js";

const host = sharedHost();
const folder = temporaryFolder();

async function deploy(options: Omit<TestEndpointOptions, "host" | "folder"> = {}) {
  const endpoint = await deployTestEndpoint({ host: host(), folder, ...options });
  await endpoint.fleet.ready;
  return endpoint;
}

const a = { targetModel: "a.tar.gz" };

describe("a multi-model endpoint", () => {
  test("brings a model at its first request and answers later ones from memory", async () => {
    const { ask, fleet, s3 } = await deploy({ models: { "a.tar.gz": "A", "c/v1.tar.gz": "C" } });
    expect(await ask("1", a)).toBe("A:1");
    expect(await ask("2", a)).toBe("A:2");
    expect(await ask("3", { targetModel: "c/v1.tar.gz" })).toBe("C:3");
    expect(s3.reads.filter((url) => url.startsWith(prefix))).toEqual([
      `${prefix}a.tar.gz`,
      `${prefix}c/v1.tar.gz`,
    ]);
    expect(fleet.metrics()).toMatchObject([
      {
        variantName: "AllTraffic",
        models: [
          { targetModel: "a.tar.gz", loaded: true, downloads: 1, loads: 1, hits: 1 },
          { targetModel: "c/v1.tar.gz", loaded: true, downloads: 1, loads: 1, hits: 0 },
        ],
      },
    ]);
  });

  test("loads a model once for all who ask for it at the same time", async () => {
    const { ask, fleet } = await deploy({ models: { "a.tar.gz": "A" } });
    const answers = await Promise.all(Array.from({ length: 16 }, (_, i) => ask(String(i), a)));
    expect(answers).toEqual(Array.from({ length: 16 }, (_, i) => `A:${i}`));
    expect(fleet.metrics()[0]?.models).toMatchObject([{ downloads: 1, loads: 1 }]);
  });

  test("goes on with the old bytes when an artifact is overwritten or deleted", async () => {
    const { ask, s3 } = await deploy({ models: { "a.tar.gz": "old" } });
    await ask("1", a);
    s3.objects.set(`${prefix}a.tar.gz`, await tarGz({ "model.txt": "new" }));
    expect(await ask("2", a)).toBe("old:2");
    s3.objects.delete(`${prefix}a.tar.gz`);
    expect(await ask("3", a)).toBe("old:3");
  });

  test("says which object is missing, and finds it once it is there", async () => {
    const { ask, fleet, s3 } = await deploy();
    await expect(ask("1", a)).rejects.toMatchObject({
      code: "ValidationError",
      status: 400,
      message: "Failed to download model data (bucket: bucket, key: models/a.tar.gz)",
    });
    expect(fleet.metrics()[0]?.models).toEqual([]);
    s3.objects.set(`${prefix}a.tar.gz`, await tarGz({ "model.txt": "A" }));
    expect(await ask("1", a)).toBe("A:1");
  });

  test("refuses a corrupt archive and leaves nothing of it behind", async () => {
    const { ask, s3, workDir } = await deploy();
    const whole = await tarGz({ "model.txt": "A".repeat(100_000) });
    for (const corrupt of [Buffer.from("not a gzip"), whole.subarray(0, whole.length - 40)]) {
      s3.objects.set(`${prefix}a.tar.gz`, corrupt);
      await expect(ask("1", a)).rejects.toMatchObject({
        code: "ValidationError",
        message: expect.stringMatching(
          /^Failed to extract model data archive .*models\/a\.tar\.gz/,
        ) as unknown,
      });
      expect(readdirSync(join(workDir, "variant-0/models"))).toEqual([]);
    }
    s3.objects.set(`${prefix}a.tar.gz`, whole);
    expect(await ask("1", a)).toMatch(/^AAA/);
  });

  test("refuses an archive that leads out of its folder, and says with which entry", async () => {
    const { ask, s3, workDir } = await deploy();
    const model = { header: { name: "model.txt" }, content: "A" };
    for (const [entry, said] of [
      [
        { header: { name: "/etc/mf-evil" }, content: "x" },
        `entry "/etc/mf-evil" leads out of the model's folder`,
      ],
      [
        { header: { name: "a/../../mf-evil" }, content: "x" },
        `entry "a/../../mf-evil" leads out of the model's folder`,
      ],
      [
        { header: { name: "link", type: "symlink", linkname: "../../mf-evil" } },
        `entry "link" is a symlink: only files and folders`,
      ],
    ] as const) {
      s3.objects.set(`${prefix}a.tar.gz`, await tarGzOf([model, entry]));
      await expect(ask("1", a)).rejects.toMatchObject({
        code: "ValidationError",
        message:
          `Failed to extract model data archive for container from URL "${prefix}a.tar.gz". ` +
          `Please ensure that the object located at the URL is a valid tar.gz archive (${said}).`,
      });
      expect(readdirSync(join(workDir, "variant-0/models"))).toEqual([]);
    }
  });

  test("answers with the model's own error, as AWS wraps it", async () => {
    const { ask, log } = await deploy({ models: { "a.tar.gz": "A" } });
    await expect(ask("raise", a)).rejects.toMatchObject({
      code: "ModelError",
      status: 424,
      message: expect.stringMatching(
        /^Received server error \(500\) from model with message "no such row/,
      ) as unknown,
      extra: {
        OriginalStatusCode: 500,
        OriginalMessage: expect.stringContaining("ValueError: no such row") as unknown,
        LogStreamArn:
          "arn:aws:logs:us-east-1:111111111111:log-group:/aws/sagemaker/Endpoints/flights",
      },
    });
    await expect(ask("teapot", a)).rejects.toMatchObject({
      code: "ModelError",
      message: expect.stringContaining("Received client error (418)") as unknown,
      extra: { OriginalStatusCode: 418 },
    });
    await expect.poll(() => log, eventually).toContain("[AllTraffic] ValueError: no such row");
  });

  test("tells why a model cannot be loaded, and serves the others", async () => {
    const { ask } = await deploy({ models: { "a.tar.gz": "A", "b.tar.gz": "broken" } });
    await expect(ask("1", { targetModel: "b.tar.gz" })).rejects.toMatchObject({
      code: "ModelError",
      extra: { OriginalMessage: expect.stringContaining("this model is broken") as unknown },
    });
    expect(await ask("1", a)).toBe("A:1");
  });

  test("unloads others when the container has no memory left, then gives up on the model", async () => {
    const { ask, fleet } = await deploy({ models: { "a.tar.gz": "A", "b.tar.gz": "huge" } });
    await ask("1", a);
    await expect(ask("1", { targetModel: "b.tar.gz" })).rejects.toMatchObject({
      code: "ModelError",
      extra: { OriginalStatusCode: 507 },
    });
    expect(fleet.metrics()[0]?.models).toMatchObject([
      { targetModel: "a.tar.gz", loaded: false, unloads: 1 },
      { targetModel: "b.tar.gz", loaded: false },
    ]);
    expect(await ask("2", a)).toBe("A:2");
    expect(fleet.metrics()[0]?.models).toMatchObject([{ downloads: 1, loads: 2 }, {}]);
  });

  test("answers ModelNotReady when a load takes long, and goes on loading", async () => {
    const gate = join(mkdtempSync(join(folder, "gate-")), "closed");
    writeFileSync(gate, "");
    const { ask, fleet } = await deploy({
      models: { "a.tar.gz": `slow ${gate}` },
      limits: { loadWaitMs: 30 },
    });
    await expect(ask("1", a)).rejects.toMatchObject({
      code: "ModelNotReadyException",
      status: 429,
    });
    rmSync(gate);
    await expect.poll(() => fleet.metrics()[0]?.models[0]?.loaded, eventually).toBe(true);
    expect(await ask("1", a)).toBe(`slow ${gate}:1`);
    expect(fleet.metrics()[0]?.models).toMatchObject([{ loads: 1 }]);
  });

  test.each([
    ["empty", ""],
    ["absolute", "/etc/passwd"],
    ["a way out", "../../etc/passwd"],
    ["a way out in the middle", "a/../../b.tar.gz"],
    ["an encoded way out", "%2e%2e%2fetc%2fpasswd"],
    ["a backslash", "..\\etc"],
    ["a control character", "a\u0000.tar.gz"],
    ["an empty part", "a//b.tar.gz"],
    ["a leading blank", " a.tar.gz"],
    ["very long", "a".repeat(1025)],
  ])("refuses a TargetModel that is %s without reading anything", async (_kind, targetModel) => {
    const { ask, s3 } = await deploy();
    const before = s3.reads.length;
    await expect(ask("1", { targetModel })).rejects.toMatchObject({ code: "ValidationError" });
    expect(s3.reads).toHaveLength(before);
  });

  test("asks for a TargetModel", async () => {
    const { ask } = await deploy();
    await expect(ask("1")).rejects.toMatchObject({
      code: "ValidationError",
      message: "Request request-1 is missing a target model header.",
    });
  });

  test("comes back when its container dies: the request fails, the next one is answered", async () => {
    const { ask, fleet } = await deploy({ models: { "a.tar.gz": "A" } });
    await ask("1", a);
    await expect(ask("crash", a)).rejects.toMatchObject({ code: "ModelError", status: 424 });
    await expect.poll(() => ask("2", a).catch(() => "not yet"), eventually).toBe("A:2");
    expect(fleet.metrics()[0]?.models).toMatchObject([{ downloads: 1, loads: 2 }]);
  });
});

test("an endpoint comes back when the Python host dies", async () => {
  const own = await startPythonHost({ python: pythonPath(), logDir: folder, preload: ["numpy"] });
  onTestFinished(() => own.close());
  const { ask, fleet } = await deployTestEndpoint({
    host: own,
    folder,
    models: { "a.tar.gz": "A" },
  });
  await fleet.ready;
  expect(await ask("1", a)).toBe("A:1");
  process.kill(own.parentPid() ?? 0, "SIGKILL");
  await expect.poll(() => ask("2", a).catch(() => "not yet"), eventually).toBe("A:2");
});

describe("limits", () => {
  test("a request over 6 MB is refused before it reaches the container", async () => {
    const { fleet } = await deploy({ models: { "a.tar.gz": "A" } });
    const body = Buffer.alloc(6 * 1024 * 1024 + 1);
    await expect(fleet.invoke({ body, ...a, requestId: "r" })).rejects.toMatchObject({
      code: "ValidationError",
      message: expect.stringContaining("less than or equal to 6291456") as unknown,
    });
  });

  test("a request of 6 MB arrives whole", async () => {
    const { ask } = await deploy({ models: { "a.tar.gz": "A" } });
    const body = "y".repeat(6 * 1024 * 1024 - 2);
    expect(await ask(body, a)).toBe(`A:${body}`);
  });

  test("an answer over 6 MB is a ModelError", async () => {
    const { ask } = await deploy({ models: { "a.tar.gz": "A" } });
    await expect(ask("large", a)).rejects.toMatchObject({ code: "ModelError" });
    expect(await ask("1", a)).toBe("A:1");
  });

  test("a container that does not answer in time is a ModelError, and not interrupted", async () => {
    const { ask } = await deploy({ models: { "a.tar.gz": "A" }, limits: { invocationMs: 2_000 } });
    await ask("1", a);
    await expect(ask("sleep", a)).rejects.toMatchObject({
      code: "ModelError",
      message: expect.stringContaining("Your invocation timed out while waiting") as unknown,
      extra: { OriginalStatusCode: 0 },
    });
    expect(await ask("1", a)).toBe("A:1");
  });

  test("more requests at a time than the variant takes are throttled", async () => {
    const { ask } = await deploy({
      models: { "a.tar.gz": "A" },
      limits: { requestsPerVariant: 2 },
    });
    const outcomes = await Promise.allSettled([ask("1", a), ask("2", a), ask("3", a)]);
    expect(outcomes.map((outcome) => outcome.status)).toEqual([
      "fulfilled",
      "fulfilled",
      "rejected",
    ]);
    expect(outcomes[2]).toMatchObject({ reason: { code: "ThrottlingException", status: 400 } });
  });
});

describe("a single-model endpoint", () => {
  const single = { mode: "SingleModel", modelDataUrl: "s3://bucket/models/one.tar.gz" } as const;

  test("serves its model, and no TargetModel", async () => {
    const { ask } = await deploy({ models: { "one.tar.gz": "one" }, container: single });
    expect(await ask("1")).toBe("one:1");
    await expect(ask("1", a)).rejects.toMatchObject({
      code: "ValidationError",
      message:
        "Endpoint flights is not a multi-model endpoint and does not support target model header.",
    });
  });

  test("finds its code in the artifact when there is no submit directory", async () => {
    const archive = await tarGz({ "model.txt": "own", "code/inference.py": textInference });
    const { ask } = await deploy({
      objects: { "s3://bucket/own.tar.gz": archive },
      container: { ...single, environment: {}, modelDataUrl: "s3://bucket/own.tar.gz" },
    });
    expect(await ask("1")).toBe("own:1");
  });

  test("whose model cannot be loaded fails with the ping text and the reason", async () => {
    const endpoint = await deployTestEndpoint({
      host: host(),
      folder,
      models: { "one.tar.gz": "broken" },
      container: single,
    });
    await expect(endpoint.fleet.ready).rejects.toThrow(
      "The primary container for production variant AllTraffic did not pass the ping health check. " +
        "Please check CloudWatch logs for this endpoint. (it ended with exit code 1: ValueError: this model is broken)",
    );
    await expect(endpoint.ask("1")).rejects.toMatchObject({ code: "ModelError" });
  });

  test("without its artifact fails with the object's name", async () => {
    const endpoint = await deployTestEndpoint({ host: host(), folder, container: single });
    await expect(endpoint.fleet.ready).rejects.toThrow(
      "Failed to download model data (bucket: bucket, key: models/one.tar.gz)",
    );
  });
});

describe("what is put behind an endpoint", () => {
  test.each([
    ["an image it does not know", { image: "public.ecr.aws/nginx:1" }, "cannot be pulled"],
    [
      "no code",
      { environment: {} },
      "set SAGEMAKER_PROGRAM and SAGEMAKER_SUBMIT_DIRECTORY in its Environment",
    ],
  ])("%s is a reason to fail", async (_kind, container, reason) => {
    const { fleet } = await deployTestEndpoint({ host: host(), folder, container });
    await expect(fleet.ready).rejects.toThrow(reason);
  });

  test("a request goes to the variant it names, or by weight", async () => {
    const { fleet } = await deploy({
      models: { "a.tar.gz": "A" },
      variants: (container) => [
        { name: "blue", weight: 0, containers: [container] },
        { name: "green", weight: 1, containers: [container] },
      ],
    });
    const invoke = (targetVariant?: string) =>
      fleet.invoke({ body: Buffer.from("1"), ...a, targetVariant, requestId: "r" });
    expect((await invoke()).invokedProductionVariant).toBe("green");
    expect((await invoke("blue")).invokedProductionVariant).toBe("blue");
    await expect(invoke("red")).rejects.toMatchObject({ code: "ValidationError" });
  });

  test("an endpoint that is closed while it comes up does not keep anybody waiting", async () => {
    const { fleet } = await deployTestEndpoint({
      host: host(),
      folder,
      inference: "import time\ntime.sleep(600)",
    });
    await fleet.close();
    await expect(fleet.ready).rejects.toThrow();
  });

  test("closing removes the containers and their files", async () => {
    const { fleet, workDir } = await deploy({ models: { "a.tar.gz": "A" } });
    await fleet.close();
    expect(existsSync(workDir)).toBe(false);
  });
});
