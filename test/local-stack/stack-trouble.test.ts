import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { stackFolder } from "../../local/stack/place.js";
import { findProcess } from "../../local/stack/process-table.js";
import { resetStack } from "../../local/stack/reset.js";
import { ensureStackFile } from "../../local/stack/stack-file.js";
import { startStack, type RunningStack } from "../../local/stack/start.js";
import { stackStatus } from "../../local/stack/status.js";
import { query, setting, stackPlace } from "./stack.js";
import { temporaryFolder } from "./temporary-folder.js";

const basePort = 17_320;
const otherBasePort = 17_340;
const place = stackPlace();
const other = { ...stackPlace(), name: "other" };

test("a port in use is told with the part, the port, its owner and a way out; nothing is started", async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(basePort + 2, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());

  const failure = await startStack({ ...place, basePort }).catch((error: unknown) => error);

  expect(failure).toHaveProperty("type", "PortInUse");
  expect(String(failure)).toContain(
    `S3 (SeaweedFS) needs port ${basePort + 2}, which process ${process.pid} (`,
  );
  expect(failure).toHaveProperty(
    "hint",
    "end that program, or: modelfleet local up --name test --base-port 27320",
  );
  const { processes } = await stackStatus(place);
  expect(processes.map(({ state }) => state)).toEqual(processes.map(() => "stopped"));
});

test("a part that dies while starting is told with its last words, and the others are ended again", async () => {
  const broken = { name: "broken", baseDir: temporaryFolder() };
  ensureStackFile(stackFolder(broken), { basePort });
  mkdirSync(join(stackFolder(broken).postgres, "data"), { recursive: true });

  const failure = await startStack({ ...broken, basePort }).catch((error: unknown) => error);

  expect(failure).toHaveProperty("type", "PartDied");
  expect(String(failure)).toMatch(
    /Postgres ended while starting \(exit code \d\); its last log lines:/,
  );
  expect(failure).toHaveProperty(
    "hint",
    expect.stringMatching(/^read the whole log: .*postgres\.log$/),
  );
  const { processes } = await stackStatus(broken);
  expect(processes.map(({ state }) => state)).toEqual(processes.map(() => "stopped"));
});

test("reset refuses a folder that holds no stack", async () => {
  const folder = temporaryFolder();
  writeFileSync(join(folder, "env"), "SECRET=1");
  await expect(resetStack({ state: folder })).rejects.toHaveProperty("type", "StackMissing");
  expect(readFileSync(join(folder, "env"), "utf8")).toBe("SECRET=1");
});

test("a folder with other people's files does not become a state folder", async () => {
  const folder = temporaryFolder();
  writeFileSync(join(folder, "package.json"), "{}");
  const attempt = startStack({ state: folder, basePort });
  await expect(attempt).rejects.toThrowError(/holds other files \(package\.json\)/);
});

describe("with two stacks side by side", () => {
  let starts: RunningStack[];

  beforeAll(async () => {
    starts = await Promise.all([
      startStack({ ...place, basePort }),
      startStack({ ...place, basePort }),
      startStack({ ...other, basePort: otherBasePort }),
    ]);
  });

  test("who starts one that another process is starting waits, and starts nothing twice", () => {
    const [first, again] = starts.map(({ started }) => started.length);
    expect([first, again].sort()).toEqual([0, 4]);
  });

  test("a part whose start was interrupted is started anew", async () => {
    const before = await pidOf("temporal");
    const file = join(place.baseDir, ".modelfleet/test/processes/temporal.json");
    writeFileSync(file, readFileSync(file, "utf8").replace('"running"', '"starting"'));

    const { started } = await startStack(place);

    expect(started.map(({ part }) => part)).toEqual(["temporal"]);
    expect(findProcess(before)).toBeUndefined();
    expect(await pidOf("temporal")).not.toBe(before);
  });

  test("reset ends one and removes its state; the other, and what is not ours, stays", async () => {
    const { processes, state } = await stackStatus(other);
    writeFileSync(join(state, "notes.txt"), "mine");

    await resetStack(other);

    for (const { pid } of processes) expect(findProcess(pid ?? 0)).toBeUndefined();
    expect(readdirSync(state)).toEqual(["notes.txt"]);
    await expect(stackStatus(other)).rejects.toHaveProperty("type", "StackMissing");
    expect((await stackStatus(place)).up).toBe(true);
    const warehouse = setting((await startStack(place)).environment, "WAREHOUSE_URL");
    expect(await query(warehouse, "SELECT 1 AS one")).toEqual([{ one: 1 }]);
  });
});

async function pidOf(part: string): Promise<number> {
  const { processes } = await stackStatus(place);
  return processes.find(({ name }) => name === part)?.pid ?? 0;
}
