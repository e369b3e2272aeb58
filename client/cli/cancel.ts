/** `modelfleet cancel`: ends a running cycle; its training jobs are stopped, what serves goes on serving. */
import type { Command } from "commander";
import { openConnections } from "../connections.js";
import { ClientError } from "../errors.js";
import { readCycle } from "../ledger.js";
import { withExamples, withJson } from "./options.js";
import { printJson, say } from "./print.js";
import type { Shell } from "./shell.js";

export function configureCancel(command: Command, shell: Shell): void {
  command
    .argument("<fleet>", "the fleet's name")
    .option("--cycle <cycle>", "the cycle to end (default: the newest)");
  withJson(command);
  withExamples(command, [
    "modelfleet cancel flight-delays",
    "modelfleet cancel churn --cycle 2026-11-01",
  ]);
  command.action((fleet: string, flags: { cycle?: string; json?: true }) =>
    cancel(shell, fleet, flags),
  );
}

async function cancel(
  shell: Shell,
  fleet: string,
  flags: { cycle?: string; json?: true },
): Promise<void> {
  const connections = openConnections(shell.environment());
  try {
    const cycle = await readCycle(connections, {
      fleet,
      ...(flags.cycle === undefined ? {} : { cycle: flags.cycle }),
    });
    const temporal = await connections.temporal();
    const handle = temporal.workflow.getHandle(cycle.workflowId);
    const { status } = await handle.describe();
    if (status.name !== "RUNNING") {
      throw new ClientError(
        `cycle ${cycle.cycle} of ${fleet} is not running: it is ${cycle.state}`,
        `modelfleet status ${fleet} --cycle ${cycle.cycle}`,
      );
    }
    await handle.cancel();
    const asked = {
      fleet,
      cycle: cycle.cycle,
      workflowId: cycle.workflowId,
      cancelled: "requested",
    };
    if (flags.json) printJson(shell, asked);
    say(shell, `cycle ${cycle.cycle} of ${fleet} is ending: its training jobs are being stopped`);
  } finally {
    await connections.close();
  }
}
