import { createServer } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { isPortAnswering, isPortTaken, portOwner } from "../../local/stack/port-in-use.js";

async function listen(host: string): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  onTestFinished(() => void server.close());
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}

test.each(["127.0.0.1", "0.0.0.0", "::"])("a listener on %s takes the port", async (host) => {
  const port = await listen(host);
  expect(await isPortTaken(port)).toBe(true);
  expect(await isPortAnswering(port)).toBe(true);
});

test("the owner of a taken port is named", async () => {
  const port = await listen("127.0.0.1");
  expect(portOwner(port)).toContain(`process ${process.pid} (`);
});

test("a free port is free, and has no owner", async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  const port = typeof address === "object" ? (address?.port ?? 0) : 0;
  expect(await isPortTaken(port)).toBe(false);
  expect(portOwner(port)).toBeUndefined();
});
