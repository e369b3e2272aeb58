import { expect, test } from "vitest";
import { findProcess, isAlive } from "../../local/stack/process-table.js";
import { stopProcess } from "../../local/stack/stop-process.js";
import { HAS_CHILD, IGNORES_SIGTERM, recordOf, runScript, SLEEPS } from "./processes.js";

const politely = [{ signal: "SIGTERM" as const, seconds: 10 }];
const impatiently = [{ signal: "SIGTERM" as const, seconds: 0.2 }];

test("a process that obeys SIGTERM is ended by it", async () => {
  const child = await runScript(SLEEPS);
  expect(await stopProcess(recordOf(child.pid), politely)).toBe("ended");
  expect(findProcess(child.pid)).toBeUndefined();
});

test("a process that ignores SIGTERM is killed after its grace", async () => {
  const child = await runScript(IGNORES_SIGTERM);
  expect(await stopProcess(recordOf(child.pid), impatiently)).toBe("killed");
  expect(findProcess(child.pid)).toBeUndefined();
});

test("a stranger that has got the recorded pid is left alone", async () => {
  const stranger = await runScript(SLEEPS);
  const record = recordOf(stranger.pid, { startedAt: "an earlier boot/42" });
  expect(await stopProcess(record, politely)).toBe("was not running");
  expect(findProcess(stranger.pid)).toBeDefined();
});

test("children end with their parent, even those that ignore SIGTERM", async () => {
  const { parent, childPid } = await parentAndChild();
  await stopProcess(recordOf(parent.pid), politely);
  expect(findProcess(parent.pid)).toBeUndefined();
  await expect.poll(() => findProcess(childPid)).toBeUndefined();
});

test("what a killed process left behind in its group is ended too", async () => {
  const { parent, childPid } = await parentAndChild();
  const record = recordOf(parent.pid);
  parent.kill("SIGKILL");
  await expect.poll(() => isAlive(record)).toBe(false);
  expect(findProcess(childPid)).toBeDefined();
  expect(await stopProcess(record, politely)).toBe("was not running");
  await expect.poll(() => findProcess(childPid)).toBeUndefined();
});

async function parentAndChild() {
  const parent = await runScript(HAS_CHILD);
  return { parent, childPid: Number(parent.firstLine) };
}
