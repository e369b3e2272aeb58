/** A container that answers before it has read the whole body, and closes: the server lives on. */
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import type { Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createContainerClient } from "../../local/sagemaker/container-client.js";
import { sendBatch } from "../../local/sagemaker/transform-client.js";

const folder = mkdtempSync(join(tmpdir(), "mf-"));
const socketPath = join(folder, "hasty.sock");
let hasty: Server;

beforeEach(async () => {
  hasty = createServer((socket) => {
    socket.on("error", () => undefined);
    socket.once("data", () => {
      socket.write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
      setTimeout(() => socket.destroy(), 20);
    });
  });
  await new Promise<void>((listening) => hasty.listen(socketPath, listening));
});
afterEach(async () => {
  await new Promise((closed) => hasty.close(closed));
  rmSync(folder, { recursive: true, force: true });
});

/** More than the socket's buffer takes at once. */
const body = Buffer.alloc(5 * 1024 * 1024);

test("an error after the answer ends nothing; one before it is the caller's", async () => {
  const heard: unknown[] = [];
  const hear = (error: unknown) => heard.push(error);
  process.on("uncaughtException", hear);
  const client = createContainerClient(socketPath);
  const options = { method: "POST", path: "/invocations", headers: {}, body } as const;
  const calls = Array.from({ length: 5 }, () => [
    sendBatch({ ...options, socketPath, timeoutMs: 5_000, signal: new AbortController().signal }),
    client.send({ ...options, timeoutMs: 5_000 }),
  ]).flat();
  for (const call of await Promise.allSettled(calls)) {
    if (call.status === "fulfilled") expect(call.value.body.toString()).toBe("ok");
    else expect(String(call.reason)).toMatch(/EPIPE|ECONNRESET|socket hang up/);
  }
  await pause(50); // What comes late has come.
  client.close();
  process.off("uncaughtException", hear);
  expect(heard).toEqual([]);
});
