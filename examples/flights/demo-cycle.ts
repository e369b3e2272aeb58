/** The demo's choices: which model is approved by hand, which flights are predicted. */
import { userInfo } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import pg from "pg";
import { say } from "../../client/cli/print.js";
import type { Shell } from "../../client/cli/shell.js";
import type { Connections } from "../../client/connections.js";
import { decideModel } from "../../client/decisions.js";
import { ClientError } from "../../client/errors.js";
import { anyAccount, loadFleetFile } from "../../client/fleet-file.js";
import { invokeModel, readPointer } from "../../client/invocation.js";
import { readCustomers } from "../../client/ledger.js";
import { readModels, type Model } from "../../client/models.js";
import { secret } from "../../client/settings.js";
import { bindWindow } from "../../fleet/sql.js";
import { packageRoot } from "../../local/stack/package-root.js";
import type { CycleRun } from "../../client/run-cycle.js";

export const FLEET = "flight-delays";
export const FLEET_FILE = join(packageRoot(), "examples/flights/fleet.ts");
const PUBLISH_TIMEOUT_MS = 120_000;
const WARM_CALLS = 20;
const CUSTOMERS_INVOKED = 4;
/** Minutes by which the flights shown left late: one of each kind. */
const LATE_BY = [90, 20, -4, 45];

export interface Answer {
  readonly customer: string;
  readonly departure: string;
  readonly departureDelay: number;
  readonly predicted: number;
  readonly happened: number;
  readonly firstMs: number;
  readonly warmMs: readonly number[];
}

/** Of the models that wait, the one that beats predict-the-mean by most; waits until it serves. */
export async function approveOneByHand(
  shell: Shell,
  connections: Connections,
  { cycle }: CycleRun,
): Promise<Model | undefined> {
  const { green, dim } = shell.progressColors;
  const pending = await readModels(connections, { fleet: FLEET, states: ["pending"], cycle });
  const best = [...pending].sort((a, b) => share(a) - share(b))[0];
  if (best === undefined) {
    say(shell, `${green("✓")} ${dim("the policy has decided about every model: nothing waits")}`);
    return undefined;
  }
  const by = userInfo().username;
  await decideModel(
    connections,
    { fleet: FLEET, ...best },
    { verdict: "approve", by, note: "approved by hand in the demo" },
  );
  await served(connections, cycle, best.customer);
  say(
    shell,
    `${green("✓")} ${best.customer} approved by ${by}, one of ${pending.length} that waited`,
  );
  say(shell, `  ${dim(best.because ?? "")}`);
  return best;
}

/** The model's error as a share of predict-the-mean's. */
function share({ metrics, baselineMetrics }: Model): number {
  return (metrics?.rmse ?? Infinity) / (baselineMetrics?.rmse ?? 1);
}

async function served(connections: Connections, cycle: string, customer: string): Promise<void> {
  const deadline = Date.now() + PUBLISH_TIMEOUT_MS;
  for (;;) {
    const customers = await readCustomers(connections, { fleet: FLEET, cycle });
    const found = customers.find((one) => one.customer === customer);
    if (found?.state === "serving") return;
    if (found?.state === "rejected" || Date.now() > deadline) {
      throw new ClientError(
        `${customer} was approved but does not serve: ${found?.reason ?? "it takes too long"}`,
        `npx modelfleet status ${FLEET} --customer ${customer}`,
      );
    }
    await wait(200);
  }
}

/** Predicts a flight of the following weeks for the largest destinations and the one approved by hand. */
export async function invokeSome(
  shell: Shell,
  connections: Connections,
  run: CycleRun,
  approved: Model | undefined,
): Promise<Answer[]> {
  const { spec } = await loadFleetFile(FLEET_FILE, anyAccount);
  const serving = await readCustomers(connections, {
    fleet: FLEET,
    cycle: run.cycle,
    states: ["serving"],
  });
  const largest = [...serving]
    .sort((a, b) => b.rows.train - a.rows.train)
    .map(({ customer }) => customer)
    .filter((customer) => customer !== approved?.customer)
    .slice(0, CUSTOMERS_INVOKED - (approved === undefined ? 0 : 1));
  const customers = [...largest, ...(approved === undefined ? [] : [approved.customer])];
  // From the next day on: around midnight UTC it is still the day before in New York.
  const { ceiling } = run.window;
  const weeks = { floor: plusDays(ceiling, 1), ceiling: plusDays(ceiling, 15) };
  const warehouse = new pg.Client({
    connectionString: await secret(connections.environment, "WAREHOUSE_URL"),
  });
  await warehouse.connect();
  try {
    const answers: Answer[] = [];
    const later = bindWindow(spec.source.query, weeks);
    for (const [place, customer] of customers.entries()) {
      const flight = await laterFlight(warehouse, later, { customer, lateBy: LATE_BY[place] ?? 0 });
      if (flight !== undefined) answers.push(await askFor(connections, customer, flight));
    }
    const { green } = shell.progressColors;
    const names = answers.map((answer) => answer.customer).join(", ");
    say(
      shell,
      `${green("✓")} ${answers.length * (WARM_CALLS + 1)} calls of InvokeEndpoint: ${names}`,
    );
    return answers;
  } finally {
    await warehouse.end();
  }
}

interface LaterFlight {
  readonly row: string;
  readonly departure: string;
  readonly departureDelay: number;
  readonly happened: number;
}

/** The flight that left most nearly so late. */
async function laterFlight(
  warehouse: pg.Client,
  query: string,
  { customer, lateBy }: { customer: string; lateBy: number },
): Promise<LaterFlight | undefined> {
  const { rows, fields } = await warehouse.query<Record<string, string | number>>(
    `select * from (${query}) as source where dest = $1
      order by abs(dep_delay - $2), month, day, hour, minute limit 1`,
    [customer, lateBy],
  );
  const flight = rows[0];
  if (flight === undefined) return undefined;
  const features = fields
    .map(({ name }) => name)
    .filter((name) => !["dest", "arr_delay"].includes(name));
  const two = (value: unknown) => String(value).padStart(2, "0");
  return {
    row: features.map((name) => flight[name]).join(","),
    departure: `2013-${two(flight.month)}-${two(flight.day)} ${two(flight.hour)}:${two(flight.minute)}`,
    departureDelay: Number(flight.dep_delay),
    happened: Number(flight.arr_delay),
  };
}

async function askFor(
  connections: Connections,
  customer: string,
  flight: LaterFlight,
): Promise<Answer> {
  const { targetModel, version } = await readPointer(connections, { fleet: FLEET, customer });
  const call = { fleet: FLEET, targetModel, version, body: flight.row };
  const first = await invokeModel(connections, call);
  const warmMs: number[] = [];
  for (let calls = 0; calls < WARM_CALLS; calls++) {
    warmMs.push((await invokeModel(connections, call)).latencyMs);
  }
  return {
    customer,
    departure: flight.departure,
    departureDelay: flight.departureDelay,
    happened: flight.happened,
    predicted: first.predictions[0] ?? NaN,
    firstMs: first.latencyMs,
    warmMs,
  };
}

function plusDays(iso: string, days: number): string {
  return new Date(Date.parse(iso) + days * 86_400_000).toISOString();
}
