/** `modelfleet export` and `import`, as a person meets them on the day that the ledger is lost. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { migrateLedger } from "../../activities/ledger/migrate.js";
import { openLedger } from "../../activities/ledger/pool.js";
import { startTestStack, type TestStack } from "../stack.js";
import { modelfleet, modelfleetJson } from "./modelfleet.js";

let stack: TestStack;
const FLEET = "delays";
/** The settings of a client whose ledger is a new database. */
let afterTheLoss: Readonly<Record<string, string>>;

beforeAll(async () => {
  stack = await startTestStack({ basePort: 20010 });
  const url = stack.environment.MODELFLEET_LEDGER_URL ?? "";
  const ledger = openLedger({ url, maxConnections: 1 });
  await migrateLedger(ledger);
  await ledger.query("insert into fleet_specs (fleet, spec_hash, spec) values ($1, 'spec', $2)", [
    FLEET,
    JSON.stringify({ name: FLEET, stages: [{ name: "local", account: "111111111111" }] }),
  ]);
  await ledger.query(
    `insert into cycles (fleet, cycle, spec_hash, window_floor, window_ceiling, workflow_id, state, rows)
     values ($1, '2013-07-01', 'spec', '2013-01-01Z', '2013-07-01Z', 'w', 'completed', 10)`,
    [FLEET],
  );
  await ledger.query(
    `insert into customers (fleet, cycle, customer_key, customer, state, reason)
     values ($1, '2013-07-01', 'lga', 'LGA', 'skipped', '1 row, source.minimumRows asks 50')`,
    [FLEET],
  );
  await ledger.query("create database rebuilt");
  await ledger.end();
  const rebuilt = new URL(url);
  rebuilt.pathname = "/rebuilt";
  const settings = { ...stack.environment, MODELFLEET_LEDGER_URL: rebuilt.href };
  const file = join(stack.folder, "after-the-loss.env");
  const lines = Object.entries(settings).map(([name, value]) => `${name}=${value}\n`);
  writeFileSync(file, lines.join(""), { mode: 0o600 });
  afterTheLoss = { MODELFLEET_ENV_FILE: file };
});
afterAll(() => stack.close());

const before = (...words: string[]) => modelfleet(words, { directory: stack.folder });
const after = (...words: string[]) =>
  modelfleet(words, { directory: stack.folder, environment: afterTheLoss });

test("a fleet is exported, and imported into another ledger after it was shown", async () => {
  const exported = await before("export", FLEET);
  expect(exported.stderr).toBe("");
  expect(exported.stdout).toMatch(/delays {2}exported\n\n +lineage +3 rows of 3 tables, /);
  expect(exported.stdout).toContain(`/fleets/${FLEET}/lineage/`);

  const shown = await after("import", FLEET, "--dry-run");
  expect(shown.stdout).toMatch(/lineage +3 rows of 3 tables\n/);
  expect(shown.stderr).toContain("nothing was changed");
  const unasked = await after("import", FLEET);
  expect(unasked).toMatchObject({ code: 2 });
  expect(unasked.stderr).toContain("nothing was changed: there is no terminal to ask");

  const directory = stack.folder;
  const rebuilt = await modelfleetJson(["import", FLEET, "--yes"], {
    ...{ directory, environment: afterTheLoss },
  });
  expect(rebuilt).toMatchObject({
    ...{ fleet: FLEET, dryRun: false, rows: { fleet_specs: 1, cycles: 1, customers: 1 } },
    ...{ since: { decided: 0, registered: 0, served: 0 }, lost: [] },
  });
  const { stdout } = await after("status", FLEET);
  expect(stdout).toMatch(/Skipped \(1\)\n +LGA +1 row, source.minimumRows asks 50/);
});

test("what cannot be done is told with what to do", async () => {
  const known = await before("import", FLEET, "--yes");
  expect(known).toMatchObject({ code: 1, stdout: "" });
  expect(known.stderr).toContain('error: the ledger knows fleet "delays"');
  expect(known.stderr).toContain("try: a lineage is imported into a ledger that is empty of");
  const nobody = await before("export", "nobody");
  expect(nobody).toMatchObject({ code: 1 });
  expect(nobody.stderr).toContain(
    'error: the ledger knows no fleet "nobody"\n  try: modelfleet status',
  );
  const nowhere = await before("import", "nobody", "--from", join(stack.folder, "nowhere"));
  expect(nowhere.stderr).toContain(`error: there is no lineage at ${stack.folder}/nowhere`);
});
