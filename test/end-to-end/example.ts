/** Runs one example small, from its loader to what it shows, on a stack of the test's own. */
import { processShell } from "../../client/cli/shell.js";
import { openConnections } from "../../client/connections.js";
import { loadFleetFile } from "../../client/fleet-file.js";
import { callerAccount } from "../../client/health-aws.js";
import { runCycle, type CycleRun } from "../../client/run-cycle.js";
import type { Example } from "../../examples/example.js";
import { localPython } from "../../examples/local-python.js";
import { askLedger } from "../../client/ledger.js";
import type { TestStack } from "../stack.js";
import { eventually } from "../hosting/python.js";
import { expect, vi } from "vitest";

export interface ExampleRun {
  readonly run: CycleRun;
  /** What the example printed. */
  readonly shown: string;
}

/** What the example prepares, one cycle, until every customer that it registered serves; then `show`. */
export async function runExample(
  stack: TestStack,
  example: Example,
  o: { readonly at: string; readonly settings?: Readonly<Record<string, number>> },
): Promise<ExampleRun> {
  const { environment } = stack;
  // AWS's SDKs look for their endpoints and credentials there, as they do for a person's command.
  for (const [name, value] of Object.entries(environment)) vi.stubEnv(name, value);
  const settings = { ...example.settings, ...o.settings };
  const tools = { tell: () => undefined, python: localPython };
  await example.load(environment.WAREHOUSE_URL ?? "", settings, tools);
  const connections = openConnections(environment);
  const loaded = await loadFleetFile(example.fleetFile, () => callerAccount(connections));
  let shown = "";
  const stream = { write: (text: string) => (shown += text) };
  const shell = { ...processShell(process), stdout: stream, stderr: stream };
  try {
    await example.prepare?.({ shell, connections, loaded });
    const run = await runCycle(connections, loaded, { at: o.at, force: false });
    const temporal = await connections.temporal();
    await temporal.workflow.getHandle(run.workflowId, run.runId).result();
    await expect
      .poll(
        () =>
          askLedger<{ customer: string; state: string; reason: string | null }>(
            connections,
            "select customer, state, reason from customers where fleet = $1 and cycle = $2 and state <> 'serving'",
            [run.fleet, run.cycle],
          ),
        eventually,
      )
      .toEqual([]);
    await example.show({ shell, connections, run, settings, ephemeral: false });
    return { run, shown };
  } finally {
    await connections.close();
  }
}
