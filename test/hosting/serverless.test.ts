/** Serverless variants: containers that come and go with the requests. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { FleetLimits, ServerlessPlan } from "../../local/sagemaker/serving-plan.js";
import { deployTestEndpoint } from "./endpoint.js";
import type { TestEndpoint } from "./endpoint.js";
import { eventually, sharedHost, temporaryFolder } from "./python.js";

const host = sharedHost();
const folder = temporaryFolder();

/** Its model answers `wait FILE` once that file is gone. */
const waitingInference = `
import time
from pathlib import Path

def model_fn(model_dir): return Path(model_dir, "model.txt").read_text()
def input_fn(data, content_type): return data
def predict_fn(data, model):
    if data.startswith("wait"):
        while Path(data.split()[1]).exists(): time.sleep(0.005)
    if data == "large": return "x" * (5 * 1024 * 1024)
    return f"{model}:{data}"
def output_fn(prediction, accept): return prediction
`;

async function deploy(
  changes: Partial<ServerlessPlan> = {},
  limits: Partial<FleetLimits> = {},
): Promise<TestEndpoint> {
  const serverless = { memoryMb: 1024, maxConcurrency: 2, provisionedConcurrency: 0, ...changes };
  const endpoint = await deployTestEndpoint({
    host: host(),
    folder,
    inference: waitingInference,
    models: { "one.tar.gz": "one" },
    container: { mode: "SingleModel", modelDataUrl: "s3://bucket/models/one.tar.gz" },
    variants: (container) => [{ name: "v", weight: 1, containers: [container], serverless }],
    limits,
  });
  await endpoint.fleet.ready;
  return endpoint;
}

function aGate(): { path: string; open: () => void } {
  const path = join(mkdtempSync(join(folder, "gate-")), "closed");
  writeFileSync(path, "");
  return { path, open: () => rmSync(path) };
}

const samplesOf = ({ told }: TestEndpoint, metric: string) =>
  told.filter(([name]) => name === metric).map(([, value]) => value);

const ended = ({ workDir }: TestEndpoint, number: number) =>
  !existsSync(join(workDir, `variant-0/serverless-${number}`));

test("nothing runs after the health check; the first request starts a container, the next finds it", async () => {
  const endpoint = await deploy();
  await expect.poll(() => ended(endpoint, 1), eventually).toBe(true);
  expect(samplesOf(endpoint, "ModelSetupTime")).toEqual([]);
  expect(await endpoint.ask("1")).toBe("one:1");
  expect(await endpoint.ask("2")).toBe("one:2");
  expect(samplesOf(endpoint, "ModelSetupTime")).toHaveLength(1);
  expect(endpoint.log.filter((line) => line.includes("(cold start)"))).toEqual([
    expect.stringMatching(/^\[v\] serverless: container 2 started in \d+ ms \(cold start\)$/),
  ]);
});

test("a container without a request for the idle time ends, and the next request starts another", async () => {
  const endpoint = await deploy({}, { serverlessIdleMs: 50 });
  expect(await endpoint.ask("1")).toBe("one:1");
  await expect.poll(() => ended(endpoint, 2), eventually).toBe(true);
  expect(endpoint.log).toContain("[v] serverless: container 2 ends after 0.05 s without a request");
  expect(await endpoint.ask("2")).toBe("one:2");
  expect(samplesOf(endpoint, "ModelSetupTime")).toHaveLength(2);
});

test("requests at a time have a container each, and more than MaxConcurrency are throttled", async () => {
  const endpoint = await deploy({ maxConcurrency: 2 });
  const gate = aGate();
  const underWay = [endpoint.ask(`wait ${gate.path}`), endpoint.ask(`wait ${gate.path}`)];
  await expect(endpoint.ask("3")).rejects.toMatchObject({
    code: "ThrottlingException",
    status: 400,
    message: "",
  });
  gate.open();
  expect(await Promise.all(underWay)).toEqual([`one:wait ${gate.path}`, `one:wait ${gate.path}`]);
  expect(samplesOf(endpoint, "ModelSetupTime")).toHaveLength(2);
  expect(samplesOf(endpoint, "Invocations")).toEqual([1, 1]);
  expect(await endpoint.ask("4")).toBe("one:4");
});

test("provisioned containers are there before the first request, and stay", async () => {
  const endpoint = await deploy({ provisionedConcurrency: 1 }, { serverlessIdleMs: 20 });
  expect(await endpoint.ask("1")).toBe("one:1");
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(await endpoint.ask("2")).toBe("one:2");
  expect(samplesOf(endpoint, "ModelSetupTime")).toEqual([]);
});

test("bodies of more than 4 MB are refused, going in and coming out", async () => {
  const { ask } = await deploy();
  await expect(ask("y".repeat(4 * 1024 * 1024 + 1))).rejects.toMatchObject({
    code: "ValidationError",
    message: expect.stringContaining("less than or equal to 4194304") as unknown,
  });
  await expect(ask("large")).rejects.toMatchObject({ code: "ModelError" });
});

test("a container that takes long answers ModelNotReady, and is there for a later request", async () => {
  const { ask } = await deploy({}, { loadWaitMs: 1 });
  await expect(ask("1")).rejects.toMatchObject({ code: "ModelNotReadyException", status: 429 });
  await expect.poll(() => ask("2").catch(() => "not yet"), eventually).toBe("one:2");
});

test("an artifact that is gone makes the cold start a ModelError, and a later one succeeds", async () => {
  const { ask, s3 } = await deploy();
  const url = "s3://bucket/models/one.tar.gz";
  const artifact = s3.objects.get(url) ?? Buffer.alloc(0);
  s3.objects.delete(url);
  await expect(ask("1")).rejects.toMatchObject({
    code: "ModelError",
    message: expect.stringContaining("Failed to download model data") as unknown,
  });
  s3.objects.set(url, artifact);
  expect(await ask("2")).toBe("one:2");
});
