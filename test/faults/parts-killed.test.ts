/** Temporal and Postgres die in the middle of a cycle, and come back. */
import { setTimeout as wait } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { stackStatus } from "../../local/stack/status.js";
import { startTestStack, type TestStack } from "../stack.js";
import { createdTrainingJobs, setFaults } from "./sagemaker-admin.js";
import { cli, makeSmallFleet, startWorkerProcess, type RunningWorker } from "./small-fleet.js";

const customers = Array.from({ length: 30 }, (_, index) => `site-${index}`);

let stack: TestStack;
let worker: RunningWorker;

beforeAll(async () => {
  stack = await startTestStack({ basePort: 18330 });
  worker = await startWorkerProcess(stack);
});

afterAll(async () => {
  await worker.kill();
  await stack.close();
});

async function killPart(name: string): Promise<void> {
  const { processes } = await stackStatus({ baseDir: stack.folder });
  const part = processes.find((one) => one.name === name);
  if (part?.pid === undefined || part.pid === null) throw new Error(`${name} does not run`);
  process.kill(part.pid, "SIGKILL");
  while (isAlive(part.pid)) await wait(20);
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

test.each(["temporal", "postgres", "s3"])(
  "a cycle goes on where it stood when %s was killed and started again",
  async (part) => {
    const name = `no-${part}`;
    const fleet = await makeSmallFleet(stack, { name, customers });
    await setFaults(stack, { slowStartSeconds: 0.3 });
    const started = await cli(stack, "run", fleet.file, "--at", "2024-02-01", "--detach");
    expect(started.code).toBe(0);

    await killPart(part);
    await stack.recover();

    const { code, stdout, stderr } = await cli(
      stack,
      "run",
      fleet.file,
      "--at",
      "2024-02-01",
      "--json",
    );
    expect(stderr).not.toContain("error:");
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ state: "completed", states: { serving: 30 } });
    const created = await createdTrainingJobs(stack, name);
    expect(created).toHaveLength(30);
    expect(created.every(([, calls]) => calls === 1)).toBe(true);
  },
);
