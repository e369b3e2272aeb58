/** A kind of fleet that modelfleet's authors did not think of needs no change in it. */
import { resolve } from "node:path";
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { cli, startWorkerProcess, type RunningWorker } from "../faults/small-fleet.js";
import { startTestStack, type TestStack } from "../stack.js";

const fleet = resolve("test/end-to-end/from-the-docs/fleet.ts");

let stack: TestStack;
let worker: RunningWorker;

beforeAll(async () => {
  stack = await startTestStack({ basePort: 19050 });
  const warehouse = new pg.Client({ connectionString: stack.environment.WAREHOUSE_URL });
  await warehouse.connect();
  await warehouse.query(`
    create table ice_cream as
    select shop, day, temperature, (extract(isodow from day) >= 6)::int as weekend,
           size * (5 + 2 * temperature + 20 * (extract(isodow from day) >= 6)::int)
             + mod(temperature * 7, 5) as sold
      from (select shop, size, date '2026-05-01' + n / 4 as day, 10 + mod(n * 13, 21) as temperature
              from (values ('Pier', 3), ('High Street', 1)) as shops (shop, size),
                   generate_series(0, 4 * 60) as n) as days`);
  await warehouse.end();
  worker = await startWorkerProcess(stack);
});

afterAll(async () => {
  await worker.kill();
  await stack.close();
});

const json = async (...args: string[]): Promise<Record<string, unknown>> => {
  const { code, stdout, stderr } = await cli(stack, ...args, "--json");
  expect(code, stderr).toBe(0);
  return JSON.parse(stdout) as Record<string, unknown>;
};

test("it is validated, tuned, judged, served and retrained like every other", async () => {
  await json("validate", fleet);
  expect(await json("run", fleet, "--at", "2026-06-01")).toMatchObject({ states: { serving: 2 } });
  const first = await json("invoke", "ice-cream", "High Street", "--body", "20,1");
  // One of size 1 at 20 degrees on a weekend sells 65, and up to 4 more.
  expect((first.predictions as number[])[0]).toBeGreaterThan(60);
  expect((first.predictions as number[])[0]).toBeLessThan(72);

  const second = await json("run", fleet, "--at", "2026-07-01");
  const states = second.states as Record<string, number>;
  expect((states.serving ?? 0) + (states["champion-kept"] ?? 0)).toBe(2);
});
