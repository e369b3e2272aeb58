/** `npm run example -- drift`: one machine drifts and is retrained, and nobody else. */
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { driftLines } from "../../client/cli/drift.js";
import { printLines, say } from "../../client/cli/print.js";
import { several } from "../../client/cli/words.js";
import { awaitDriftRun, readDrift, startDriftRun } from "../../client/drift.js";
import { loadFleetFile } from "../../client/fleet-file.js";
import { callerAccount } from "../../client/health-aws.js";
import { findCycle, readCustomers, type CycleCustomer } from "../../client/ledger.js";
import { packageRoot } from "../../local/stack/package-root.js";
import type { Example, ExampleContext } from "../example.js";
import { load } from "./load.js";

const FLEET = "machines";
/** A month after the cycle. */
const LOOK_AT = "2025-05-01T00:00:00.000Z";

export const example: Example = {
  title: "one machine of ten drifts: it is found in Postgres, retrained, and nobody else is",
  fleet: FLEET,
  fleetFile: join(packageRoot(), "examples/drift/fleet.ts"),
  // February and March; April is what comes after.
  cycles: ["2025-04-01"],
  settings: { machines: 10 },
  load,
  show,
};

async function show({ shell, connections }: ExampleContext): Promise<void> {
  const { dim, green } = shell.progressColors;
  const loaded = await loadFleetFile(example.fleetFile, () => callerAccount(connections));
  say(shell, "\nA month later: has anything moved?");
  const started = await startDriftRun(connections, loaded, { at: LOOK_AT, dryRun: false });
  await awaitDriftRun(connections, started);
  const result = await readDrift(connections, { ...started, all: true });
  printLines(shell, driftLines(shell, result));
  const { cycle } = result;
  if (cycle !== null) {
    const { customers = 0 } = (await findCycle(connections, { fleet: FLEET, cycle })) ?? {};
    const trained = await published(connections, cycle);
    const names = trained.map(({ customer, state }) => `${customer} (${state})`).join(", ");
    say(
      shell,
      `\n${green("✓")} cycle ${cycle}: ${several(customers, "machine")}, ${names}; the others serve on as they were`,
    );
  }
  const [first] = result.findings;
  say(shell, "");
  say(
    shell,
    `  ${dim("why it was retrained:")}    modelfleet lineage ${FLEET} ${first?.customer ?? "CUSTOMER"}`,
  );
  say(shell, `  ${dim("look again, by calendar:")} modelfleet apply examples/drift`);
}

/** A cycle ends when its models are registered; what is approved serves some seconds later. */
async function published(
  connections: ExampleContext["connections"],
  cycle: string,
): Promise<CycleCustomer[]> {
  for (let seconds = 0; ; seconds++) {
    const trained = await readCustomers(connections, { fleet: FLEET, cycle });
    if (seconds === 60 || trained.every(({ state }) => state !== "approved")) return trained;
    await wait(1000);
  }
}
