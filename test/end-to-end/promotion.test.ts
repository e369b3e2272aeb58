/** Three stages, by the command line: models go through them, one is held, one is denied, and every stage is back. */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { MatrixRow } from "../../client/stage-matrix.js";
import {
  cli,
  makeSmallFleet,
  startWorkerProcess,
  type CliResult,
  type RunningWorker,
  type SmallFleet,
} from "../faults/small-fleet.js";
import { startTestStack, type TestStack } from "../stack.js";

const name = "staged";
const customers = ["site-0", "site-1"];
const STAGES = ["sandbox", "qa", "prod"];
/** The lag never ends by itself: the test says when. */
const stages = `[
  { name: "sandbox", account: "111111111111", approval: "none" },
  { name: "qa", account: "111111111111" },
  { name: "prod", account: "111111111111", lag: "1d" },
]`;

let stack: TestStack;
let fleet: SmallFleet;
const workers: RunningWorker[] = [];

beforeAll(async () => {
  stack = await startTestStack({ basePort: 19760 });
  workers.push(await startWorkerProcess(stack));
  fleet = await makeSmallFleet(stack, { name, customers, better: -1, stages });
});

afterAll(async () => {
  await Promise.all(workers.map((one) => one.kill()));
  await stack.close();
});

const json = ({ stdout, stderr }: CliResult): Record<string, unknown> => {
  if (stdout === "") throw new Error(`no document; stderr: ${stderr}`);
  return JSON.parse(stdout) as Record<string, unknown>;
};
const done = async (...words: string[]): Promise<string> => {
  const { code, stdout, stderr } = await cli(stack, ...words);
  expect(stderr).not.toContain("error:");
  expect(code).toBe(0);
  return stdout;
};

/** Of one customer: by stage, the version that serves, and how far the next one is. */
async function cells(customer: string): Promise<string[]> {
  const shown = await cli(stack, "status", name, "--stages", "--customer", customer, "--json");
  const [row] = (json(shown) as unknown as { customers: MatrixRow[] }).customers;
  return (row?.stages ?? []).map(({ version, coming }) =>
    coming === null ? String(version) : `${version} ${coming.state} ${coming.version}`,
  );
}

const reaches = (customer: string, expected: string[]) =>
  expect.poll(() => cells(customer), { timeout: 120_000, interval: 500 }).toEqual(expected);

const predictions = (customer: string) =>
  Promise.all(
    STAGES.map(async (stage) => {
      const asked = await cli(
        stack,
        "invoke",
        name,
        customer,
        "--sample",
        "--stage",
        stage,
        "--json",
      );
      return json(asked).predictions;
    }),
  );

const before = new Map<string, unknown>();

test("the first models go from stage to stage, and the lag ends when somebody says so", async () => {
  expect((await cli(stack, "run", fleet.file, "--at", "2024-02-01")).code).toBe(0);
  for (const customer of customers) {
    await reaches(customer, ["1", "1", "null lag 1"]);
    await done("promote", name, customer, "--now");
    await reaches(customer, ["1", "1", "1"]);
    const [sandbox, qa, prod] = await predictions(customer);
    expect([sandbox, qa]).toEqual([prod, prod]);
    before.set(customer, prod);
  }
});

test("the next ones are in two stages when one of them is held, and the worker dies", async () => {
  expect((await cli(stack, "run", fleet.file, "--at", "2024-03-01")).code).toBe(0);
  for (const customer of customers) await reaches(customer, ["2", "2", "1 lag 2"]);
  await done("promote", name, "site-1", "--hold", "--note", "audit", "--by", "ann");
  await workers[0]?.kill();
  workers.push(await startWorkerProcess(stack));

  await done("promote", name, "site-0", "--now");
  await reaches("site-0", ["2", "2", "2"]);
  expect(await done("status", name, "--stages")).toMatch(/site-1 +2 +2 +1 → 2 held by ann: audit/);
});

test("a denial takes it out of every stage, each of which serves again what it served before", async () => {
  await done("deny", name, "site-0", "--version", "2", "--note", "drift", "--by", "bob");
  await reaches("site-0", ["1", "1", "1"]);

  const was = before.get("site-0");
  expect(await predictions("site-0")).toEqual([was, was, was]);
  const lineage = json(await cli(stack, "lineage", name, "site-0", "--version", "2", "--json"));
  expect(lineage).toMatchObject({
    state: "withdrawn",
    publication: { stage: "prod" },
    withdrawal: { askedBy: "bob", servesVersion: 1 },
  });
});

test("what is denied on its way leaves the stages that it has reached", async () => {
  await done("deny", name, "site-1", "--version", "2", "--note", "drift", "--by", "bob");

  await reaches("site-1", ["1", "1", "1"]);
  const refused = await cli(stack, "promote", name, "site-1", "--release");
  expect(refused.code).toBe(1);
  expect(refused.stderr).toContain('no version of "site-1" is on its way through the stages');
});
