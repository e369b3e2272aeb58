/** The drift example and docs/drift.md, line by line: one machine drifts and is retrained, and nobody else. */
import { symlink } from "node:fs/promises";
import { join, resolve } from "node:path";
import pg from "pg";
import { createColors } from "picocolors";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Shell } from "../../client/cli/shell.js";
import { openConnections } from "../../client/connections.js";
import { example } from "../../examples/drift/example.js";
import { driftedMachine, load } from "../../examples/drift/load.js";
import { modelfleet, modelfleetJson } from "../cli/modelfleet.js";
import { shownCommands, words } from "../docs/fenced.js";
import { cli, startWorkerProcess, type RunningWorker } from "../faults/small-fleet.js";
import { startTestStack, type TestStack } from "../stack.js";

let stack: TestStack;
let worker: RunningWorker;
let ledger: pg.Pool;

const MACHINES = 10;
const DRIFTED = driftedMachine(MACHINES);
const CYCLE = "2025-05-01-drift";

beforeAll(async () => {
  stack = await startTestStack({ basePort: 19812 });
  // The stack's folder plays the checkout.
  for (const folder of ["examples", "training", "docs"])
    await symlink(resolve(folder), join(stack.folder, folder));
  ledger = new pg.Pool({ connectionString: stack.environment.MODELFLEET_LEDGER_URL });
  worker = await startWorkerProcess(stack);
  await load(stack.environment.WAREHOUSE_URL ?? "", { machines: MACHINES });
});
afterAll(async () => {
  await worker.stop();
  await ledger.end();
  await stack.close();
});

const json = (...said: string[]) => modelfleetJson(said, { directory: stack.folder });
const serving = (cycle: string) =>
  ledger
    .query<{ customer: string }>(
      `select c.customer from modelfleet.releases r join modelfleet.customers c using (fleet, cycle, customer_key)
        where r.fleet = 'machines' and r.cycle = $1 and r.state = 'serving' order by 1`,
      [cycle],
    )
    .then(({ rows }) => rows.map(({ customer }) => customer));

test("what a loader or a fleet file is given wrongly is refused with a sentence", async () => {
  const url = stack.environment.WAREHOUSE_URL ?? "";
  expect(await load(url, { machines: MACHINES })).toBe(
    "21,360 hours of 10 machines are in the warehouse",
  );
  await expect(load(url, { machines: 1 })).rejects.toThrow(
    "machines must be a whole number from 2 to 1000",
  );
  const { code, stderr } = await modelfleet(["drift", "machines", "--last"], {
    directory: stack.folder,
  });
  expect([code, stderr]).toEqual([
    1,
    expect.stringContaining('fleet "machines" has not been looked at for drift'),
  ]);
  const housing = await modelfleet(["drift", "examples/housing"], { directory: stack.folder });
  expect([housing.code, housing.stderr]).toEqual([1, expect.stringContaining("declares no drift")]);
});

/** What the page says a command tells. */
const TOLD: readonly (readonly [RegExp, RegExp])[] = [
  [/--dry-run$/, /would be retrained|would be created/],
  [/05-01$/, /10 of 10 customers compared, 10 models asked, 1 drifted, 1 retrained/],
  [/--last --all$/, /M010 .*retrained[^]*M001 .*as it was/],
  [/status/, /called for by drift/],
  [/lineage/, /called for by drift: .*PSI of/],
];

test("the page's commands find the machine that has changed, retrain it, and nobody else", async () => {
  const { code, stderr } = await cli(stack, "run", resolve("examples/drift"), "--at", "2025-04-01");
  expect(code, stderr).toBe(0);
  await expect.poll(() => serving("2025-04-01"), { timeout: 60_000 }).toHaveLength(MACHINES);

  for (const { command, line } of shownCommands("docs/drift.md")) {
    const [npx, name, ...rest] = words(command);
    expect([npx, name], `the page shows "${command}"`).toEqual(["npx", "modelfleet"]);
    const ran = await modelfleet(rest, { directory: stack.folder });
    const said = `${ran.stdout}${ran.stderr}`;
    const where = `docs/drift.md:${line} ${command}\n${said}`;
    expect(ran.code, where).toBe(0);
    for (const [shown, told] of TOLD) if (shown.test(command)) expect(said, where).toMatch(told);
    if (/status/.test(command))
      await expect.poll(() => serving(CYCLE), { timeout: 60_000 }).toEqual([DRIFTED]);
  }
  const { rows } = await ledger.query<{ customer: string }>(
    "select customer from modelfleet.customers where fleet = 'machines' and cycle = $1",
    [CYCLE],
  );
  expect(rows).toEqual([{ customer: DRIFTED }]);
  const last = await json("drift", "machines", "--last");
  expect(last).toMatchObject({
    run: CYCLE,
    cycle: CYCLE,
    dryRun: false,
    state: "completed",
    findings: [{ customer: DRIFTED, action: "retrain", drifted: true, scoredRows: 200 }],
  });
  const history = await json("history", "machines");
  expect(history).toMatchObject({ cycles: [{ cycle: CYCLE, cause: "drift" }, { cause: null }] });
}, 180_000);

test("the example shows it, also a second time", async () => {
  const lines: string[] = [];
  const stream = { write: (text: string) => lines.push(text) };
  const colors = createColors(false);
  const shell: Shell = {
    ...{ stdin: process.stdin, stdout: stream, stderr: stream, directory: stack.folder },
    ...{ colors, progressColors: colors, exit: () => undefined },
    environment: () => stack.environment,
  };
  // The SDK's clients take their credentials from the process.
  Object.assign(process.env, stack.environment);
  const connections = openConnections(stack.environment);
  await example.show({
    shell,
    connections,
    run: undefined as never,
    settings: {},
    ephemeral: false,
  });
  await connections.close();
  expect(lines.join("")).toMatch(
    /cycle 2025-05-01-drift: 1 machine, M010 \(serving\); the others serve on/,
  );
});
