import { createServer, type Server } from "node:http";
import { SageMakerRuntimeClient } from "@aws-sdk/client-sagemaker-runtime";
import { MockActivityEnvironment } from "@temporalio/testing";
import { expect, onTestFinished, test } from "vitest";
import { verifyModel, type Verdict } from "../../activities/verification.js";

/** What the runtime says, as it says it: an error's name stands in a header. */
type Answer = { readonly error: string; readonly status: number } | { readonly csv: string };

const NOT_READY = { error: "ModelNotReadyException", status: 429 };
const THROTTLED = { error: "ThrottlingException", status: 400 };
const UNAVAILABLE = { error: "ServiceUnavailable", status: 503 };
const MODEL_ERROR = { error: "ModelError", status: 424 };
const DENIED = { error: "AccessDeniedException", status: 403 };

const verify = async (...answers: Answer[]): Promise<Verdict> => {
  const runtime = await aRuntime(answers);
  return new MockActivityEnvironment().run(verifyModel, runtime, {
    endpointName: "flights-local",
    targetModel: "xna/v000001.tar.gz",
    rows: ["1,2", "3,4"],
    predictions: [30, 70],
  });
};

test.each([
  ["is still loading", [NOT_READY]],
  ["is busy", [THROTTLED]],
  ["is not available for a moment", [UNAVAILABLE, UNAVAILABLE]],
  ["fails once, as a container that was just restarted may", [MODEL_ERROR]],
])("an endpoint that %s is asked again", async (_what, answers) => {
  expect(await verify(...answers, { csv: "30\n70\n" })).toMatchObject({ kind: "same" });
});

test("a model that fails twice is rejected", async () => {
  expect(await verify(MODEL_ERROR, MODEL_ERROR)).toEqual({
    kind: "rejected",
    because: "it cannot be served: MODELERROR",
  });
});

test("a missing permission says nothing about the model", async () => {
  await expect(verify(DENIED)).rejects.toMatchObject({ name: "AccessDeniedException" });
});

test("an answer that is no CSV of numbers is a difference", async () => {
  expect(await verify({ csv: "[30, 70]" })).toEqual({
    kind: "rejected",
    because: "served NaN where training predicted 30 (row 1)",
  });
});

/** Gives each request the next answer. */
async function aRuntime(answers: Answer[]): Promise<SageMakerRuntimeClient> {
  const left = [...answers];
  const server = createServer((request, response) => {
    request.resume();
    const answer = left.shift() ?? { error: "InternalFailure", status: 500 };
    if ("csv" in answer) response.end(answer.csv);
    else {
      response.writeHead(answer.status, { "x-amzn-errortype": answer.error });
      response.end(JSON.stringify({ Message: answer.error.toUpperCase() }));
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const runtime = new SageMakerRuntimeClient({
    region: "us-east-1",
    endpoint: `http://127.0.0.1:${portOf(server)}`,
    credentials: { accessKeyId: "key", secretAccessKey: "secret" },
    maxAttempts: 1,
  });
  onTestFinished(() => {
    runtime.destroy();
    server.close();
  });
  return runtime;
}

function portOf(server: Server): number {
  const address = server.address();
  if (typeof address === "object" && address !== null) return address.port;
  throw new Error("the server listens on no port");
}
