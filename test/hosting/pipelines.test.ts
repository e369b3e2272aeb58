/** Several containers behind one endpoint: one after the other, or the one that is named. */
import { describe, expect, test } from "vitest";
import type { ContainerPlan, VariantPlan } from "../../local/sagemaker/serving-plan.js";
import { tarGz } from "./artifacts.js";
import { deployTestEndpoint, prefix } from "./endpoint.js";
import { sharedHost, temporaryFolder } from "./python.js";

const host = sharedHost();
const folder = temporaryFolder();

/** Wraps what it is given, and says in which type it came and in which it is asked to answer. */
const wrappingInference = `
import os
from pathlib import Path

def model_fn(model_dir): return Path(model_dir, "model.txt").read_text()
def transform_fn(model, data, content_type, accept):
    data = data.decode() if isinstance(data, bytes) else data
    if data == "raise": raise ValueError("no such row")
    if data == "port": return os.environ["SAGEMAKER_BIND_TO_PORT"] + "," + os.environ["SAGEMAKER_SAFE_PORT_RANGE"], accept
    if data == "typeless": return f"{model}({data})"
    return f"{model}({data};{content_type}>{accept})", accept
`;

const first: Partial<ContainerPlan> = {
  mode: "SingleModel",
  modelDataUrl: "s3://bucket/preprocessor.tar.gz",
};

async function deploy(containers: Partial<ContainerPlan>[], plan: Partial<VariantPlan> = {}) {
  const endpoint = await deployTestEndpoint({
    host: host(),
    folder,
    inference: wrappingInference,
    models: { "a/v1.tar.gz": "A", "b/v1.tar.gz": "B" },
    objects: { "s3://bucket/preprocessor.tar.gz": await tarGz({ "model.txt": "P" }) },
    variants: (container) => [
      {
        name: "v",
        weight: 1,
        containers: containers.map((changes) => ({ ...container, ...changes })),
        ...plan,
      },
    ],
  });
  await endpoint.fleet.ready;
  return endpoint;
}

const a = { targetModel: "a/v1.tar.gz", accept: "text/csv" };

describe("a serial inference pipeline", () => {
  test("hands each container's answer to the next, in the type that it came in", async () => {
    const { ask, s3 } = await deploy([first, {}]);
    expect(await ask("1,2", a)).toBe(
      "A(P(1,2;text/csv>application/json);application/json>text/csv)",
    );
    expect(await ask("1", { ...a, targetModel: "b/v1.tar.gz" })).toMatch(/^B\(P\(1/);
    expect(s3.reads).toContain(`${prefix}a/v1.tar.gz`);
  });

  test("lets a container's default type be set by its environment", async () => {
    const csv = { SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT: "text/csv" };
    const environment = {
      SAGEMAKER_PROGRAM: "inference.py",
      SAGEMAKER_SUBMIT_DIRECTORY: "s3://bucket/code/sourcedir.tar.gz",
    };
    const { ask } = await deploy([{ ...first, environment: { ...environment, ...csv } }, {}]);
    expect(await ask("1", a)).toBe("A(P(1;text/csv>text/csv);text/csv>text/csv)");
  });

  test("hands on a text without a type as HTML, as SageMaker's containers of a single model do", async () => {
    const { ask } = await deploy([first, {}]);
    expect(await ask("typeless", a)).toBe("A(P(typeless);text/html; charset=utf-8>text/csv)");
  });

  test("ends with the container that fails, and names it", async () => {
    const { ask, told } = await deploy([first, {}]);
    await expect(ask("raise", a)).rejects.toMatchObject({
      code: "ModelError",
      status: 424,
      message: expect.stringMatching(
        /^Received server error \(500\) from container-1 with message "no such row/,
      ) as unknown,
    });
    expect(told).toContainEqual(["InvocationModelErrors", 1]);
    expect(told).toContainEqual(["Invocation5XXErrors", 1]);
    expect(told.map(([metric]) => metric)).not.toContain("ModelCacheHit");
  });

  test("asks for a TargetModel before it asks any container", async () => {
    const { ask, told } = await deploy([first, {}]);
    await expect(ask("1")).rejects.toMatchObject({
      code: "ValidationError",
      message: "Request request-1 is missing a target model header.",
    });
    await expect(ask("1", { targetModel: "../a" })).rejects.toMatchObject({
      code: "ValidationError",
    });
    expect(told.map(([metric]) => metric)).not.toContain("Invocations");
  });

  test("takes no TargetModel without a multi-model container, and no hostname", async () => {
    const { ask } = await deploy([first, first]);
    expect(await ask("1")).toMatch(/^P\(P\(1/);
    await expect(ask("1", a)).rejects.toThrow("does not support target model header");
    await expect(ask("1", { targetContainerHostname: "container-1" })).rejects.toThrow(
      "does not support target container hostname header",
    );
  });

  test("whose container does not come up fails with its name", async () => {
    const missing = { ...first, modelDataUrl: "s3://bucket/preprocessor.tar.gz" };
    const failing = deploy([missing, { ...first, environment: {} }]);
    await expect(failing).rejects.toThrow(
      "The container-2 container for production variant v did not pass the ping health check.",
    );
  });

  test("gives each container ports of its own", async () => {
    const { ask } = await deploy([first, first, first]);
    expect(await ask("port")).toMatch(/8080,20000-20099/);
  });
});

describe("containers that are invoked directly", () => {
  const named = [
    { ...first, hostname: "left" },
    { ...first, hostname: "right" },
  ];

  test("answer when they are named", async () => {
    const { ask } = await deploy(named, { execution: "Direct" });
    expect(await ask("1", { targetContainerHostname: "left", accept: "text/csv" })).toBe(
      "P(1;text/csv>text/csv)",
    );
    await expect(ask("raise", { targetContainerHostname: "right" })).rejects.toThrow(
      "Received server error (500) from right",
    );
  });

  test("are not guessed", async () => {
    const { ask } = await deploy(named, { execution: "Direct" });
    await expect(ask("1")).rejects.toThrow("name one of left, right");
    await expect(ask("1", { targetContainerHostname: "middle" })).rejects.toMatchObject({
      code: "ValidationError",
      message: "Endpoint flights has no container middle; it has left, right.",
    });
  });
});
