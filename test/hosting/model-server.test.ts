import { mkdtempSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { createContainerClient } from "../../local/sagemaker/container-client.js";
import { writeFiles } from "./job.js";
import { deployTestEndpoint, textInference } from "./endpoint.js";
import { eventually, sharedHost, temporaryFolder } from "./python.js";

const host = sharedHost();
const folder = temporaryFolder();

/** The container alone, spoken to as the platform does. */
async function startServer(code: string) {
  const baseDir = mkdtempSync(join(folder, "ml-"));
  writeFiles(join(baseDir, "code"), { "inference.py": code });
  writeFiles(join(baseDir, "models/m/model"), { "model.txt": "M" });
  const socketPath = join(baseDir, "s.sock");
  const env = { SAGEMAKER_MULTI_MODEL: "true" };
  const container = host().serve({ baseDir, socketPath, env, onLine: () => {} });
  const client = createContainerClient(socketPath);
  onTestFinished(async () => {
    client.close();
    container.kill("SIGKILL");
    await container.exited;
  });
  const call = async (method: "GET" | "POST" | "DELETE", path: string, body?: object | string) => {
    const text = typeof body === "object" ? JSON.stringify(body) : body;
    const content = text === undefined ? {} : { body: text };
    const response = await client.send({ method, path, timeoutMs: 5_000, ...content });
    return { status: response.status, body: response.body.toString("utf8") };
  };
  await expect
    .poll(() => call("GET", "/ping").catch(() => null), eventually)
    .toEqual({ status: 200, body: "" });
  const url = join(baseDir, "models/m/model");
  return { call, url };
}

describe("the multi-model container API", () => {
  test("a model is loaded, described, invoked and unloaded by its name", async () => {
    const { call, url } = await startServer(textInference);
    expect(await call("GET", "/models")).toEqual({ status: 200, body: '{"models": []}' });
    expect((await call("GET", "/models/m")).status).toBe(404);
    expect((await call("POST", "/models/m/invoke", "1")).status).toBe(404);
    expect((await call("POST", "/models", { model_name: "m", url })).status).toBe(200);
    expect((await call("POST", "/models", { model_name: "m", url })).status).toBe(409);
    expect(JSON.parse((await call("GET", "/models/m")).body)).toEqual({
      modelName: "m",
      modelUrl: url,
    });
    expect((await call("POST", "/models/m/invoke", "1")).body).toContain("M:");
    expect((await call("DELETE", "/models/m")).status).toBe(200);
    expect((await call("DELETE", "/models/m")).status).toBe(404);
  });

  test("models are listed a hundred a page", async () => {
    const { call, url } = await startServer(
      "def model_fn(d): return 1\ndef predict_fn(x, m): return x",
    );
    for (let i = 0; i < 101; i++) await call("POST", "/models", { model_name: `m${i}`, url });
    const first = JSON.parse((await call("GET", "/models")).body) as {
      models: unknown[];
      nextPageToken: string;
    };
    expect(first.models).toHaveLength(100);
    const rest = await call("GET", `/models?next_page_token=${first.nextPageToken}`);
    expect(JSON.parse(rest.body)).toEqual({ models: [{ modelName: "m100", modelUrl: url }] });
  });

  test("what it does not know is 404, and a broken call does not end it", async () => {
    const { call } = await startServer(textInference);
    expect((await call("GET", "/nowhere")).status).toBe(404);
    expect((await call("POST", "/models", "not json")).status).toBe(500);
    expect((await call("GET", "/ping")).status).toBe(200);
  });
});

describe("the inference toolkit", () => {
  const deploy = async (inference: string) => {
    const models = { "a.tar.gz": "A" };
    const endpoint = await deployTestEndpoint({ host: host(), folder, inference, models });
    return endpoint;
  };
  const a = { targetModel: "a.tar.gz" };

  test("has defaults for what a script leaves out", async () => {
    const { ask, fleet } = await deploy(
      "def model_fn(d): return 2\ndef predict_fn(x, m): return x * m\n",
    );
    await fleet.ready;
    expect(await ask("[1, 2]", { ...a, contentType: "application/json" })).toBe("[2, 4]");
    expect(await ask("1,2\n3,4", { ...a, accept: "text/csv" })).toBe("2.0,4.0\n6.0,8.0\n");
    await expect(ask("x", { ...a, contentType: "image/png" })).rejects.toMatchObject({
      extra: { OriginalStatusCode: 500 },
    });
  });

  test("transform_fn takes the whole request, with the content type it answers", async () => {
    const { fleet } = await deploy(
      "def model_fn(d): return 'm'\ndef transform_fn(m, data, ct, accept): return f'{m} {data} {ct} {accept}', 'text/plain'\n",
    );
    await fleet.ready;
    const request = {
      body: Buffer.from("x"),
      contentType: "text/csv",
      accept: "a/b",
      requestId: "r",
    };
    const response = await fleet.invoke({ ...request, ...a });
    expect(response.body.toString()).toBe("m x text/csv a/b");
    expect(response.contentType).toBe("text/plain");
  });

  test("a function may take the context, and answer custom attributes through it", async () => {
    const { fleet } = await deploy(`
def model_fn(d, context): return context.system_properties["model_dir"]
def predict_fn(data, model, context):
    name = "X-Amzn-SageMaker-Custom-Attributes"
    context.set_response_header(0, name, context.get_request_header(0, name) + "\\r\\nSet-Cookie: no")
    return model
def output_fn(prediction, accept): return prediction
`);
    await fleet.ready;
    const response = await fleet.invoke({
      body: Buffer.from("[1]"),
      contentType: "application/json",
      customAttributes: "trace=1",
      requestId: "r",
      ...a,
    });
    expect(response.customAttributes).toBe("trace=1  Set-Cookie: no");
    expect(response.body.toString()).toMatch(/variant-0\/models\/[0-9a-f]{32}\/model$/);
  });

  test.each([
    [
      "transform_fn beside predict_fn",
      "def model_fn(d): pass\ndef transform_fn(m,d,c,a): pass\ndef predict_fn(d,m): pass",
      "Cannot use transform_fn",
    ],
    ["no model_fn", "def predict_fn(d, m): pass", "inference has no model_fn: please provide one"],
    ["a wrong number of arguments", "def model_fn(): pass", "takes 0 arguments but 1 were given"],
    ["an import that fails", "import not_there", "No module named 'not_there'"],
  ])("%s keeps the endpoint from coming up, with the reason", async (_kind, inference, reason) => {
    const { fleet } = await deploy(inference);
    await expect(fleet.ready).rejects.toThrow(reason);
  });
});
