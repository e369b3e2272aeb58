/** `modelfleet status`: how the fleets stand, one cycle, its customers, or one customer. */
import type { Command } from "commander";
import { openConnections, type Connections } from "../connections.js";
import { UsageError } from "../errors.js";
import { readEvaluations } from "../evaluations.js";
import {
  CUSTOMER_STATES,
  findCycle,
  findCustomer,
  readCustomers,
  readCycle,
  readNewestCycles,
  type Cycle,
  type CycleCustomer,
} from "../ledger.js";
import { readModels } from "../models.js";
import { readRetired } from "../retirements.js";
import { workflowIds } from "../../workflows/messages.js";
import { workflowPage } from "../settings.js";
import { stateWords } from "./cycle-progress.js";
import { EXIT } from "./exit-codes.js";
import { cycleReportLines, followCycle, type Followed } from "./follow.js";
import { withExamples, withJson } from "./options.js";
import { fieldLines, printJson, printLines, safe, say, tableLines } from "./print.js";
import type { Shell } from "./shell.js";
import { listStages } from "./stage-matrix.js";
import { count, figure, localTime } from "./words.js";

interface StatusFlags {
  readonly cycle?: string;
  readonly customer?: string;
  readonly customers?: true;
  readonly state?: string;
  readonly follow?: true;
  readonly stages?: true;
  readonly json?: true;
}

export function configureStatus(command: Command, shell: Shell): void {
  command
    .argument("[fleet]", "a fleet's name; without it, all fleets")
    .option("--cycle <cycle>", "a cycle's id (default: the newest)")
    .option("--customers", "list every customer of the cycle")
    .option("--state <state>", "list the customers in this state, such as failed")
    .option("--customer <customer>", "one customer: its state, figures and workflow")
    .option(
      "--stages",
      "which version each customer is served in each stage, and what is under way",
    )
    .option("--follow", "follow the cycle until it ends; Ctrl-C only stops following");
  withJson(command);
  withExamples(command, [
    "modelfleet status",
    "modelfleet status flight-delays --follow",
    "modelfleet status flight-delays --state failed",
    "modelfleet status flight-delays --customer XNA",
    "modelfleet status flight-delays --stages",
  ]);
  command.action(async (fleet: string | undefined, flags: StatusFlags) => {
    const connections = openConnections(shell.environment());
    try {
      await (fleet === undefined
        ? allFleets(shell, connections, flags)
        : oneFleet(shell, connections, fleet, flags));
    } finally {
      await connections.close();
    }
  });
}

async function allFleets(
  shell: Shell,
  connections: Connections,
  flags: StatusFlags,
): Promise<void> {
  const { json, ...others } = flags;
  if (Object.keys(others).length > 0) {
    throw new UsageError("name the fleet these options are about", "modelfleet status FLEET …");
  }
  const cycles = await readNewestCycles(connections);
  if (json) return printJson(shell, { fleets: cycles });
  if (cycles.length === 0) return say(shell, "no fleet has run yet: modelfleet run FLEETFILE");
  const rows = cycles.map((cycle) => [
    cycle.fleet,
    cycle.cycle,
    cycle.state,
    count(cycle.customers),
    count(cycle.states.serving ?? 0),
    count(cycle.states.pending ?? 0),
    count(cycle.states.failed ?? 0),
    localTime(cycle.startedAt),
  ]);
  const right = (title: string) => ({ title, align: "right" }) as const;
  const columns = [
    ...[{ title: "fleet" }, { title: "cycle" }, { title: "state" }],
    ...["customers", "serving", "to decide", "failed"].map(right),
    { title: "started" },
  ];
  printLines(shell, tableLines(shell, columns, rows));
}

async function oneFleet(
  shell: Shell,
  connections: Connections,
  fleet: string,
  flags: StatusFlags,
): Promise<void> {
  if (flags.stages) {
    const { customer } = flags;
    const named = { fleet, ...(customer === undefined ? {} : { customer }) };
    return listStages(shell, connections, named, flags);
  }
  if (flags.customer !== undefined) {
    return oneCustomer(shell, connections, { fleet, customer: flags.customer }, flags);
  }
  let named: { fleet: string; cycle?: string } = {
    fleet,
    ...(flags.cycle === undefined ? {} : { cycle: flags.cycle }),
  };
  if (flags.follow) {
    const followed = await toFollow(connections, named);
    const last = await followCycle(shell, connections, followed);
    if (last === undefined) return;
    if (last.failure !== undefined) shell.exit(EXIT.failed);
    named = { fleet, cycle: followed.cycle };
  }
  const cycle = await readCycle(connections, named);
  if (flags.customers || flags.state !== undefined) {
    return customerList(shell, connections, cycle, flags);
  }
  if (flags.json) return printJson(shell, await describeCycle(connections, cycle));
  printLines(shell, await cycleReportLines(shell, connections, cycle));
  const page = workflowPage(connections.environment, cycle);
  const running = cycle.endedAt === null;
  if (running) {
    printLines(shell, [
      "",
      `  ${shell.colors.dim("follow:")} modelfleet status ${fleet} --follow`,
      `  ${shell.colors.dim("end it:")} modelfleet cancel ${fleet} --cycle ${cycle.cycle}`,
    ]);
  }
  if (page !== undefined) printLines(shell, ["", `  ${shell.colors.dim(page)}`]);
}

/** A cycle that a schedule has just started is Temporal's before it is in the ledger. */
async function toFollow(
  connections: Connections,
  named: { fleet: string; cycle?: string },
): Promise<Followed> {
  const { fleet, cycle } = named;
  if (cycle === undefined || (await findCycle(connections, { fleet, cycle })) !== undefined)
    return readCycle(connections, named);
  const workflowId = workflowIds.retrainFleet(fleet, cycle);
  const temporal = await connections.temporal();
  const { WorkflowNotFoundError } = await import("@temporalio/client");
  try {
    await temporal.workflow.getHandle(workflowId).describe();
    return { fleet, cycle, workflowId };
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return readCycle(connections, named);
    throw error;
  }
}

async function describeCycle(connections: Connections, cycle: Cycle) {
  const told = await readCustomers(connections, {
    ...cycle,
    states: ["failed", "rejected", "skipped"],
  });
  return {
    ...cycle,
    webPage: workflowPage(connections.environment, cycle) ?? null,
    retired: await readRetired(connections, cycle),
    told: told.map(({ customer, state, errorType, reason }) => ({
      customer,
      state,
      errorType,
      reason,
    })),
  };
}

async function customerList(
  shell: Shell,
  connections: Connections,
  cycle: Cycle,
  flags: StatusFlags,
): Promise<void> {
  const states = CUSTOMER_STATES.filter(
    (state) => flags.state === undefined || state === flags.state,
  );
  if (states.length === 0) {
    throw new UsageError(
      `"${flags.state ?? ""}" is no state of a customer`,
      `states: ${CUSTOMER_STATES.join(", ")}`,
    );
  }
  const customers = await readCustomers(connections, { ...cycle, states });
  if (flags.json) return printJson(shell, { fleet: cycle.fleet, cycle: cycle.cycle, customers });
  if (customers.length === 0) return say(shell, `nobody is in state ${states.join(" or ")}`);
  const rows = customers.map((one) => [
    safe(one.customer),
    paintState(shell, one),
    count(one.rows.train + one.rows.validation + one.rows.test),
    safe([one.errorType, one.reason].filter((part) => part !== null).join(": ")),
  ]);
  const columns = [
    { title: "customer" },
    { title: "state" },
    { title: "rows", align: "right" },
    { title: "why" },
  ] as const;
  printLines(shell, tableLines(shell, columns, rows));
  say(shell, shell.progressColors.dim(`  ${stateWords(cycle.states).join(", ")}`));
}

function paintState(shell: Shell, { state }: CycleCustomer): string {
  if (state === "failed" || state === "rejected") return shell.colors.red(state);
  if (state === "serving") return shell.colors.green(state);
  return state === "skipped" ? shell.colors.dim(state) : state;
}

async function oneCustomer(
  shell: Shell,
  connections: Connections,
  named: { fleet: string; customer: string },
  flags: StatusFlags,
): Promise<void> {
  const known = await findCustomer(connections, named);
  const { cycles } = await readEvaluations(connections, named);
  const newest = cycles.find((one) => flags.cycle === undefined || one.cycle === flags.cycle);
  if (newest === undefined) {
    await readCycle(connections, { fleet: named.fleet, cycle: flags.cycle ?? "" });
    throw new UsageError(`"${known.customer}" was not in cycle ${flags.cycle ?? ""}`);
  }
  const [served] = await readModels(connections, {
    fleet: named.fleet,
    customerKey: known.customerKey,
    states: ["serving"],
  });
  const webPage = workflowPage(connections.environment, newest) ?? null;
  const [retired] = await readRetired(connections, {
    fleet: named.fleet,
    customerKey: known.customerKey,
  });
  const document = {
    fleet: named.fleet,
    ...known,
    ...newest,
    serving: served ?? null,
    retired: retired ?? null,
    webPage,
  };
  if (flags.json) return printJson(shell, document);
  const { colors } = shell;
  const error = (metrics: Readonly<Record<string, number>> | null) =>
    metrics === null ? "–" : `RMSE ${figure(metrics.rmse)}, MAE ${figure(metrics.mae)}`;
  printLines(shell, [
    `${colors.bold(safe(known.customer))} of ${named.fleet}, cycle ${newest.cycle}: ${newest.state}`,
    "",
    ...fieldLines(shell, [
      ...(newest.reason === null ? [] : [["why", safe(newest.reason)] as const]),
      ["key", known.customerKey],
      ["rows", count(newest.rows)],
      ["model", error(newest.metrics)],
      ["champion", error(newest.championMetrics)],
      ["baseline", error(newest.baselineMetrics)],
      ...(newest.because === null ? [] : [["gate", newest.because] as const]),
      [
        "serving",
        served === undefined ? "no version" : `version ${served.version}, of ${served.cycle}`,
      ],
      ...(retired === undefined
        ? []
        : [["retired", `no rows in any export since ${localTime(retired.absentSince)}`] as const]),
      ["training job", newest.trainingJobName ?? "–"],
      ["web page", webPage ?? "–"],
    ]),
  ]);
}
