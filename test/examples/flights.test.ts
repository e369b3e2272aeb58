/** The flights of the example: all of them, once, and planned as the README says. */
import { writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { FLIGHTS, loadFlights } from "../../examples/flights/load.js";
import { load as loadHouses } from "../../examples/housing/load.js";
import { load as loadHouseSales } from "../../examples/pipeline/load.js";
import { modelfleet, modelfleetJson } from "../cli/modelfleet.js";
import { startTestStack, type TestStack } from "../stack.js";

let stack: TestStack;
const loads: boolean[] = [];
const seen: number[] = [];

beforeAll(async () => {
  stack = await startTestStack({ basePort: 17880 });
  const options = {
    warehouseUrl: stack.environment.WAREHOUSE_URL ?? "",
    python: process.env.MODELFLEET_TEST_PYTHON ?? "",
    onRows: (rows: number) => seen.push(rows),
  };
  loads.push(await loadFlights(options), await loadFlights(options));
});
afterAll(() => stack.close());

test("flights are loaded once, with progress, and twice does no harm", async () => {
  expect(loads).toEqual([true, false]);
  expect(seen.at(-1)).toBe(FLIGHTS);
  expect(seen.length).toBeGreaterThan(5);
  const warehouse = new pg.Client({ connectionString: stack.environment.WAREHOUSE_URL });
  await warehouse.connect();
  const { rows } = await warehouse.query(
    "select count(*)::int as flights, count(distinct dest)::int as destinations, min(dest) as first from flights",
  );
  await warehouse.end();
  expect(rows).toEqual([{ flights: 336_776, destinations: 105, first: "ABQ" }]);
});

test.each([
  ["houses", loadHouses],
  ["house_sales", loadHouseSales],
])("a table %s that no example has made is left alone", async (table, load) => {
  const url = stack.environment.WAREHOUSE_URL ?? "";
  const warehouse = new pg.Client({ connectionString: url });
  await warehouse.connect();
  await warehouse.query(`create table ${table} as select 7 as kept`);
  await expect(load(url, {})).rejects.toMatchObject({
    message: expect.stringContaining(`has a table ${table} that no example`) as string,
    hint: "name another database in WAREHOUSE_URL",
  });
  expect((await warehouse.query(`select kept from ${table}`)).rows).toEqual([{ kept: 7 }]);
  await warehouse.end();
});

test("the example's query and columns are valid", async () => {
  const { code, stdout } = await modelfleet(["validate", resolve("examples/flights")], {
    directory: stack.folder,
  });
  expect(stdout).toContain("ok ");
  expect(code).toBe(0);
});

test("a list of customers from a table that is not there is refused", async () => {
  const fleet = join(stack.folder, "no-list.fleet.ts");
  await writeFile(
    fleet,
    `import example from ${JSON.stringify(resolve("examples/flights/fleet.ts"))};
export default {
  ...example,
  source: {
    ...example.source,
    query: ${JSON.stringify(resolve("examples/flights/flights.sql"))},
    customers: "select dest from destinations",
  },
  training: { ...example.training, source: ${JSON.stringify(resolve("training/xgboost_regression"))} },
};
`,
  );
  const { code, stdout } = await modelfleet(["validate", fleet], { directory: stack.folder });
  expect(stdout).toContain("source.customers: the warehouse refuses the query: relation");
  expect(code).toBe(1);
});

test("the first cycle trains 91 destinations and tells why 14 are skipped, LaGuardia among them", async () => {
  const words = ["plan", resolve("examples/flights"), "--at", "2013-07-01"];
  const plan = await modelfleetJson(words, { directory: stack.folder });
  expect(plan).toMatchObject({ customers: 105, rows: 160_590, train: { customers: 91 } });
  expect(plan.skipped).toHaveLength(14);
  expect(plan.skipped).toContainEqual({
    customer: "LGA",
    rows: 0,
    because: "no rows in the window",
  });
});
