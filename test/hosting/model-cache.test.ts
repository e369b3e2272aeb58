import { describe, expect, test, vi } from "vitest";
import type {
  ContainerRequest,
  ContainerResponse,
} from "../../local/sagemaker/container-client.js";
import { ModelCache } from "../../local/sagemaker/model-cache.js";
import { modelError } from "../../local/sagemaker/runtime-error.js";
import { noMeter } from "../../local/sagemaker/variant-metrics.js";
import { deferred } from "./python.js";

const place = { account: "1", region: "r", endpointName: "e", containerName: "model" };

/** A cache whose models weigh 10 bytes each, in front of a container that does as it is told. */
function aCache(
  options: { memory?: number; disk?: number; room?: number; keepsModels?: boolean } = {},
) {
  const loaded = new Set<string>();
  const calls: string[] = [];
  const deleted: string[] = [];
  const names = new Map<string, string>();
  const send = async (request: ContainerRequest): Promise<ContainerResponse> => {
    const answer = (status: number): ContainerResponse => ({
      status,
      headers: {},
      body: Buffer.from("{}"),
    });
    if (request.method === "DELETE") {
      const name = request.path.split("/")[2] ?? "";
      calls.push(`unload ${names.get(name)}`);
      loaded.delete(name);
      return answer(200);
    }
    const { model_name: name } = JSON.parse(String(request.body)) as { model_name: string };
    if (loaded.size >= (options.room ?? Infinity)) return answer(507);
    calls.push(`load ${names.get(name)}`);
    loaded.add(name);
    return answer(200);
  };
  const cache = new ModelCache({
    fetchModel: async ({ targetModel, name }) => {
      names.set(name, targetModel);
      calls.push(`fetch ${targetModel}`);
      return { folder: `/models/${name}`, bytes: 10 };
    },
    deleteFiles: async (name) => void deleted.push(names.get(name) ?? name),
    send,
    loadError: (status, message) => modelError(place, status, message),
    memoryLimitBytes: options.memory ?? 1_000,
    diskLimitBytes: options.disk ?? 1_000,
    loadWaitMs: 60_000,
    loadTimeoutMs: 60_000,
    keepsModels: options.keepsModels ?? true,
    meter: noMeter,
  });
  const touch = (...models: string[]): Promise<void> =>
    models.reduce(
      (before, model) => before.then(() => cache.withModel(model, async () => {})),
      Promise.resolve(),
    );
  const inMemory = (): string[] =>
    cache
      .metrics()
      .filter((model) => model.loaded)
      .map((model) => model.targetModel);
  return { cache, calls, deleted, touch, inMemory };
}

describe("the models of a multi-model container", () => {
  test("the least recently used one makes room, and comes back from the disk", async () => {
    const { calls, touch, inMemory } = aCache({ memory: 20 });
    await touch("a", "b", "a", "c");
    expect(inMemory()).toEqual(["a", "c"]);
    await touch("b");
    expect(inMemory()).toEqual(["b", "c"]);
    expect(calls.filter((call) => call.endsWith(" b"))).toEqual([
      "fetch b",
      "load b",
      "unload b",
      "load b",
    ]);
  });

  test("a model in use stays, and goes when its last request is done", async () => {
    const { cache, touch, inMemory } = aCache({ memory: 10 });
    const { promise: finished, resolve: finish } = deferred<void>();
    const request = cache.withModel("a", () => finished);
    await touch("b");
    expect(inMemory()).toContain("a");
    finish();
    await request;
    await touch("c");
    expect(inMemory()).toEqual(["c"]);
  });

  test("a container without memory (507) is helped until the model fits", async () => {
    const { calls, touch, inMemory } = aCache({ room: 2 });
    await touch("a", "b", "c");
    expect(inMemory()).toEqual(["b", "c"]);
    expect(calls.slice(-2)).toEqual(["unload a", "load c"]);
  });

  test("one that nothing can be unloaded for is an error", async () => {
    const { touch } = aCache({ room: 0 });
    await expect(touch("a")).rejects.toMatchObject({
      code: "ModelError",
      extra: { OriginalStatusCode: 507 },
    });
  });

  test("unused models leave the disk when it is full, and are fetched again", async () => {
    const { calls, deleted, touch } = aCache({ memory: 10, disk: 20 });
    await touch("a", "b", "c", "a");
    expect(deleted).toEqual(["a", "b"]);
    expect(calls.filter((call) => call === "fetch a")).toHaveLength(2);
  });

  test("after a restart everything is loaded again when asked for, from the disk", async () => {
    const { cache, calls, touch, inMemory } = aCache();
    await touch("a", "b");
    cache.forgetLoaded();
    expect(inMemory()).toEqual([]);
    await touch("a");
    expect(inMemory()).toEqual(["a"]);
    expect(calls).toEqual(["fetch a", "load a", "fetch b", "load b", "load a"]);
  });

  test("a load without room waits for a model that is in use, and not for ever", async () => {
    const { cache, touch, inMemory } = aCache({ room: 1 });
    const { promise: finished, resolve: finish } = deferred<void>();
    const request = cache.withModel("a", () => finished);
    await vi.waitFor(() => expect(inMemory()).toEqual(["a"]));
    const waiting = touch("b");
    finish();
    await Promise.all([request, waiting]);
    expect(inMemory()).toEqual(["b"]);
  });

  test("one that is fetched while it leaves the disk is fetched when it has left", async () => {
    const { calls, deleted, touch } = aCache({ memory: 10, disk: 10 });
    await touch("a", "b");
    await Promise.all([touch("c"), touch("a"), touch("b"), touch("c")]);
    await touch("a", "b", "c");
    for (const name of ["a", "b", "c"]) {
      const count = (list: readonly string[], entry: string) =>
        list.filter((each) => each === entry).length;
      const left = count(deleted, name);
      expect(count(calls, `fetch ${name}`)).toBeGreaterThanOrEqual(left);
      expect(count(calls, `fetch ${name}`)).toBeLessThanOrEqual(left + 1);
    }
  });

  test("without a cache each is unloaded and deleted when its last request is done", async () => {
    const { cache, calls, deleted, touch } = aCache({ keepsModels: false });
    await touch("a", "a");
    await vi.waitFor(() => expect(cache.metrics()).toEqual([]));
    expect(calls).toEqual(["fetch a", "load a", "unload a", "fetch a", "load a", "unload a"]);
    expect(deleted).toEqual(["a", "a"]);
  });
});
