/** Two cycles, a way back by the command line, and a worker that dies in the middle of it. */
import { setTimeout as wait } from "node:timers/promises";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startTestStack, type TestStack } from "../stack.js";
import {
  cli,
  makeSmallFleet,
  startWorkerProcess,
  type CliResult,
  type RunningWorker,
} from "./small-fleet.js";

const customers = ["site-0", "site-1", "site-2"];

let stack: TestStack;
let ledger: pg.Pool;
let worker: RunningWorker;
const workers: RunningWorker[] = [];

beforeAll(async () => {
  stack = await startTestStack({ basePort: 18730 });
  ledger = new pg.Pool({ connectionString: stack.environment.MODELFLEET_LEDGER_URL });
  ledger.on("error", () => undefined);
  await startWorker();
});

afterAll(async () => {
  await Promise.all(workers.map((one) => one.kill()));
  await ledger.end();
  await stack.close();
});

async function startWorker(): Promise<void> {
  worker = await startWorkerProcess(stack);
  workers.push(worker);
}

const json = ({ stdout, stderr }: CliResult): Record<string, unknown> => {
  if (stdout === "") throw new Error(`no document; stderr: ${stderr}`);
  return JSON.parse(stdout) as Record<string, unknown>;
};
const invoke = async (fleet: string, customer: string) =>
  json(await cli(stack, "invoke", fleet, customer, "--sample", "--json"));

describe.each(["versioned", "stable"] as const)("%s artifacts", (naming) => {
  const name = `back-${naming}`;
  const before = new Map<string, unknown>();

  beforeAll(async () => {
    const fleet = await makeSmallFleet(stack, { name, customers, better: -1, naming });
    for (const at of ["2024-02-01", "2024-03-01"]) {
      const ran = await cli(stack, "run", fleet.file, "--at", at, "--json");
      expect(json(ran)).toMatchObject({ states: { serving: customers.length } });
      if (at === "2024-03-01") continue;
      for (const customer of customers)
        before.set(customer, (await invoke(name, customer)).predictions);
    }
  });

  test("rollback lets the version before answer again, number by number", async () => {
    expect(await invoke(name, "site-0")).toMatchObject({ version: 2 });
    const words = [name, "site-0", "--because", "too slow", "--by", "ann"];
    const { code, stdout, stderr } = await cli(stack, "rollback", ...words);

    expect(stderr).toContain("version 2 serves site-0; version 1 will serve again");
    const target = naming === "stable" ? "site-0.tar.gz" : "site-0/v000001.tar.gz";
    expect(stdout).toContain(`serves  site-0 version 1 as ${target}, instead of version 2`);
    expect(code).toBe(0);
    const after = await invoke(name, "site-0");
    expect(after).toMatchObject({ version: 1, targetModel: target });
    expect(after.predictions).toEqual(before.get("site-0"));
    expect(after.predictions).toEqual(after.offlinePredictions);
    const lineage = await cli(stack, "lineage", name, "site-0", "--version", "2", "--json");
    expect(json(lineage)).toMatchObject({
      state: "withdrawn",
      withdrawal: { askedBy: "ann", because: "too slow", servesVersion: 1 },
    });
  });

  test("what cannot be rolled back to is refused, with nothing changed", async () => {
    const refused = async (...words: string[]) => {
      const { code, stderr } = await cli(stack, "rollback", name, ...words, "--because", "why");
      expect(code).toBe(1);
      return stderr;
    };
    expect(await refused("site-1", "--to", "9")).toContain("there is no version 9 to go back to");
    expect(await refused("site-1", "--to", "2")).toContain(
      'version 2 is the one that serves "site-1"',
    );
    expect(await refused("site-0", "--to", "2")).toContain(
      "version 2 cannot serve again: it was withdrawn",
    );
    expect(await refused("site-9")).toContain('has no customer "site-9"');
    expect(await invoke(name, "site-1")).toMatchObject({ version: 2 });
  });

  test("a worker that dies in the middle leaves nothing half done", async () => {
    const asked = cli(stack, "rollback", name, "site-1", "--because", "too slow", "--json");
    await onRecord("site-1");
    await worker.kill();
    await startWorker();

    const done = await asked;
    expect(json(done)).toMatchObject({ withdrawn: 2, servesNow: { version: 1 } });
    expect((await invoke(name, "site-1")).predictions).toEqual(before.get("site-1"));
  });

  test("the last version is removed, and the command says so", async () => {
    const { stdout, stderr } = await cli(stack, "rollback", name, "site-0", "--because", "all bad");
    expect(stderr).toContain("no other version may serve: the customer will have no model");
    expect(stdout).toContain(`removed  site-0 of ${name} has no model now`);

    const { stderr: said } = await cli(stack, "rollback", name, "site-0", "--because", "again");
    expect(said).toContain('no version serves "site-0": there is nothing to roll back');
    const asked = await cli(stack, "invoke", name, "site-0", "--sample");
    expect(asked.code).toBe(1);
    expect(asked.stderr).toContain('"site-0"');
  });

  /** Until the denial is on record, or further. */
  async function onRecord(customer: string): Promise<void> {
    for (;;) {
      const { rows } = await ledger.query(
        "select 1 from modelfleet.withdrawals where fleet = $1 and customer_key = $2",
        [name, customer],
      );
      if (rows.length > 0) return;
      await wait(20);
    }
  }
});
