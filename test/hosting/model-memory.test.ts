/** More models than there is room for, asked for by many at a time: they come and go, and every request is answered. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { deployTestEndpoint } from "./endpoint.js";
import type { TestEndpoint, TestEndpointOptions } from "./endpoint.js";
import { tarGz } from "./artifacts.js";
import { eventually, sharedHost, temporaryFolder } from "./python.js";

const host = sharedHost();
const folder = temporaryFolder();

/** A model weighs what its artifact does: Python keeps its name only. */
const lightInference = `
from pathlib import Path
def model_fn(model_dir): return Path(model_dir, "name.txt").read_text()
def input_fn(data, content_type): return data
def predict_fn(data, model): return f"{model}:{data}"
def output_fn(prediction, accept): return prediction
`;

/** Holds five models, and has no memory for a sixth. */
const smallInference = `
import weakref
from pathlib import Path

class Model:
    def __init__(self, name): self.name = name

loaded = weakref.WeakSet()

def model_fn(model_dir):
    if len(loaded) >= 5: raise MemoryError()
    model = Model(Path(model_dir, "name.txt").read_text())
    loaded.add(model)
    return model
def input_fn(data, content_type): return data
def predict_fn(data, model): return f"{model.name}:{data}"
def output_fn(prediction, accept): return prediction
`;

const megabyte = 1024 * 1024;
const names = (count: number) => Array.from({ length: count }, (_, index) => `c${index}`);

async function deploy(
  count: number,
  options: Partial<TestEndpointOptions> & { modelBytes?: number },
): Promise<TestEndpoint> {
  const { modelBytes = 1_000, ...changes } = options;
  const objects: Record<string, Buffer> = {};
  for (const name of names(count))
    objects[`s3://bucket/models/${name}.tar.gz`] = await tarGz({
      "name.txt": name,
      "weights.bin": Buffer.alloc(modelBytes),
    });
  const inference = lightInference;
  const endpoint = await deployTestEndpoint({
    host: host(),
    folder,
    inference,
    objects,
    ...changes,
  });
  await endpoint.fleet.ready;
  return endpoint;
}

const askFor = ({ ask }: TestEndpoint, name: string) => ask("1", { targetModel: `${name}.tar.gz` });

const loadedOf = ({ fleet }: TestEndpoint) =>
  (fleet.metrics()[0]?.models ?? []).filter(({ loaded }) => loaded).length;

const told = ({ told: all }: TestEndpoint, metric: string) =>
  all.filter(([name]) => name === metric).map(([, value]) => value);

describe("200 models and room for 121", () => {
  const room = { memoryLimitMb: 121.5, modelBytes: megabyte };

  test("the loaded ones level off, the least recently used come back from the disk", async () => {
    const endpoint = await deploy(200, room);
    for (const name of names(100)) await askFor(endpoint, name);
    expect(told(endpoint, "ModelCacheHit").filter((hit) => hit === 1)).toHaveLength(0);
    for (const name of names(100)) await askFor(endpoint, name);
    expect(told(endpoint, "ModelCacheHit").filter((hit) => hit === 1)).toHaveLength(100);
    expect(loadedOf(endpoint)).toBe(100);
    for (const name of names(200)) await askFor(endpoint, name);
    expect(loadedOf(endpoint)).toBe(121);
    expect(Math.max(...told(endpoint, "LoadedModelCount"))).toBeLessThanOrEqual(122);
    expect(told(endpoint, "ModelUnloadingTime").length).toBeGreaterThanOrEqual(79);
    expect(await askFor(endpoint, "c0")).toBe("c0:1");
    expect(told(endpoint, "ModelDownloadingTime")).toHaveLength(200);
  });

  test("nothing fails when all are asked for at the same time, again and again", async () => {
    const endpoint = await deploy(200, room);
    for (let round = 0; round < 3; round++) {
      const answers = await Promise.all(names(200).map((name) => askFor(endpoint, name)));
      expect(answers).toEqual(names(200).map((name) => `${name}:1`));
    }
    const clients = names(16).map(async (_, client) => {
      for (let step = 0; step < 25; step++) {
        const name = `c${(client * 37 + step * 61) % 200}`;
        expect(await askFor(endpoint, name)).toBe(`${name}:1`);
      }
    });
    await Promise.all(clients);
    await expect.poll(() => loadedOf(endpoint), eventually).toBeLessThanOrEqual(121);
  });

  test("nor with a disk that does not hold them", async () => {
    const endpoint = await deploy(61, {
      ...{ memoryLimitMb: 10.5, modelBytes: megabyte, limits: { diskLimitMb: 20 } },
    });
    for (let round = 0; round < 4; round++) {
      const answers = await Promise.all(names(60).map((name) => askFor(endpoint, name)));
      expect(answers).toEqual(names(60).map((name) => `${name}:1`));
    }
    const onDisk = () => readdirSync(join(endpoint.workDir, "variant-0/models")).length;
    // The next one that is fetched makes room for itself.
    expect(await askFor(endpoint, "c60")).toBe("c60:1");
    await expect.poll(onDisk, eventually).toBeLessThanOrEqual(21);
  });
});

test("a container that answers 507 is helped, whoever asks at the same time", async () => {
  const endpoint = await deploy(20, { inference: smallInference });
  for (let round = 0; round < 3; round++) {
    const answers = await Promise.all(names(20).map((name) => askFor(endpoint, name)));
    expect(answers).toEqual(names(20).map((name) => `${name}:1`));
  }
  expect(loadedOf(endpoint)).toBeLessThanOrEqual(5);
});

test("without a cache a model leaves memory and disk after its invocation", async () => {
  const endpoint = await deploy(3, { container: { cachesModels: false } });
  const all = names(3).flatMap((name) => [name, name, name]);
  const answers = await Promise.all(all.map((name) => askFor(endpoint, name)));
  expect(answers).toEqual(all.map((name) => `${name}:1`));
  await expect.poll(() => endpoint.fleet.metrics()[0]?.models, eventually).toEqual([]);
  expect(readdirSync(join(endpoint.workDir, "variant-0/models"))).toEqual([]);
  const before = told(endpoint, "ModelDownloadingTime").length;
  expect(await askFor(endpoint, "c0")).toBe("c0:1");
  expect(told(endpoint, "ModelDownloadingTime")).toHaveLength(before + 1);
});
