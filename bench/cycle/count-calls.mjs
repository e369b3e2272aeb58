/**
 * Preloaded into the worker (`node --import`): counts its HTTP requests to AWS by service and operation, as they go
 * over the wire, so that retries count too. Writes them as JSON to BENCH_CALLS_FILE several times a second.
 *
 * Plain JavaScript without imports of ours, because it runs before anything else in a process that is not ours to
 * change. What the local SageMaker server itself asks of S3 is not counted: on AWS that is the service's own affair.
 */
import { subscribe } from "node:diagnostics_channel";
import { writeFileSync } from "node:fs";
import { isMainThread } from "node:worker_threads";

const WRITE_MS = 250;
const file = process.env.BENCH_CALLS_FILE;
const calls = {};
let isWritten = false;

subscribe("http.client.request.start", ({ request }) => {
  const operation = operationOf(request);
  calls[operation] = (calls[operation] ?? 0) + 1;
  isWritten = false;
});
// Workflows run in threads, which preload this too and call nobody.
if (isMainThread) setInterval(write, WRITE_MS).unref();

function write() {
  if (isWritten) return;
  isWritten = true;
  writeFileSync(file, JSON.stringify(calls));
}

function operationOf(request) {
  const target = request.getHeader("x-amz-target");
  if (target) return String(target); // SageMaker.CreateTrainingJob
  const [path, query = ""] = request.path.split("?");
  if (path.endsWith("/invocations")) return "SageMakerRuntime.InvokeEndpoint";
  const id = new URLSearchParams(query).get("x-id"); // The SDK for JavaScript names the operation.
  if (id) return `S3.${id}`;
  if (request.getHeader("content-type")?.includes("x-www-form-urlencoded")) return "STS";
  return `S3.${request.method}`;
}
