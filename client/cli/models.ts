/** `modelfleet models`: a fleet's models with the figures they are judged by. */
import type { Command } from "commander";
import { openConnections, type Connections } from "../connections.js";
import { findCustomer } from "../ledger.js";
import { readModels, type Figures, type Model } from "../models.js";
import { withExamples, withJson } from "./options.js";
import { printJson, printLines, safe, say, tableLines } from "./print.js";
import { listServed } from "./served-models.js";
import type { Shell } from "./shell.js";
import { change, changeInterval, count, figure, several } from "./words.js";

interface ModelsFlags {
  readonly pending?: true;
  readonly customer?: string;
  readonly all?: true;
  readonly metric: string;
  readonly stage?: string | true;
  readonly json?: true;
}

export function configureModels(command: Command, shell: Shell): void {
  command
    .argument("<fleet>", "the fleet's name")
    .option("--pending", "only what waits for a decision")
    .option("--customer <customer>", "only this customer, all versions")
    .option("--all", "every version, not just each customer's newest and the one that serves")
    .option("--metric <name>", "the figure to show", "rmse")
    .option(
      "--stage [name]",
      "what the endpoint can serve now (default: the newest cycle's last stage)",
    );
  withJson(command);
  withExamples(command, [
    "modelfleet models flight-delays",
    "modelfleet models flight-delays --pending",
    "modelfleet models flight-delays --customer XNA --metric mae",
    "modelfleet models flight-delays --stage",
  ]);
  command.action(async (fleet: string, flags: ModelsFlags) => {
    const connections = openConnections(shell.environment());
    try {
      const { stage, json } = flags;
      if (stage === undefined) await listModels(shell, connections, fleet, flags);
      else await listServed(shell, connections, fleet, { stage, ...(json && { json }) });
    } finally {
      await connections.close();
    }
  });
}

async function listModels(
  shell: Shell,
  connections: Connections,
  fleet: string,
  flags: ModelsFlags,
): Promise<void> {
  const customer =
    flags.customer === undefined
      ? undefined
      : await findCustomer(connections, { fleet, customer: flags.customer });
  const models = await readModels(connections, {
    fleet,
    ...(flags.pending ? { states: ["pending"] as const } : {}),
    ...(customer === undefined ? {} : { customerKey: customer.customerKey }),
    allVersions: flags.all === true || customer !== undefined,
  });
  if (flags.json) return printJson(shell, { fleet, models });
  if (models.length === 0) {
    return say(
      shell,
      flags.pending ? "nothing waits for a decision" : `${fleet} has no models yet`,
    );
  }
  printLines(shell, modelLines(shell, models, flags.metric));
  printLines(shell, reasonLines(shell, customer === undefined ? waiting(models) : models));
  const pending = waiting(models);
  if (pending.length > 0) sayHowToDecide(shell, fleet, pending);
}

export function modelLines(shell: Shell, models: readonly Model[], metric: string): string[] {
  const inCohorts = models.some(({ cohort }) => cohort !== null);
  const right = (title: string) => ({ title, align: "right" }) as const;
  const columns = [
    ...[{ title: "customer" }, right("version"), { title: "state" }],
    ...[metric, "champion", "change", "interval", "baseline", "change"].map(right),
    { title: "cycle" },
    ...(inCohorts ? [{ title: "cohort of", align: "right" } as const] : []),
    { title: "decided by" },
  ];
  const rows = models.map((model) => {
    const own = of(model.metrics, metric);
    const champion = of(model.championMetrics, metric);
    const baseline = of(model.baselineMetrics, metric);
    return [
      safe(model.customer),
      String(model.version),
      paintState(shell, model),
      figure(own),
      figure(champion),
      paintChange(shell, change(own, champion)),
      model.improvement?.metric === metric ? changeInterval(model.improvement) : "–",
      figure(baseline),
      paintChange(shell, change(own, baseline)),
      model.cycle,
      ...(inCohorts ? [model.cohort === null ? "" : count(model.cohort.members)] : []),
      safe(decidedBy(model)),
    ];
  });
  return tableLines(shell, columns, rows);
}

const waiting = (models: readonly Model[]) => models.filter(({ state }) => state === "pending");

/** A person who decides reads them; more than these are for `--json`. */
const EXPLAINED = 12;

function reasonLines(shell: Shell, models: readonly Model[]): string[] {
  const judged = models.filter(({ reasons }) => reasons.length > 0);
  const explained = judged.slice(0, EXPLAINED);
  const lines = explained.flatMap(({ customer, version, reasons }) => [
    "",
    `  ${shell.colors.dim("why")} ${safe(customer)} version ${version}`,
    ...reasons.map((reason) => `    ${safe(reason)}`),
  ]);
  const more = judged.length - explained.length;
  return more > 0 ? [...lines, "", `  and ${more} more (--json)`] : lines;
}

/** Who spoke last about it. */
const decidedBy = ({ withdrawal, decidedBy: approver }: Model): string =>
  withdrawal === null ? (approver ?? "") : `withdrawn by ${withdrawal.by}`;

const of = (figures: Figures | null, metric: string) => figures?.[metric];

function paintState(shell: Shell, { state }: Model): string {
  const { colors } = shell;
  if (state === "serving") return colors.green(state);
  if (state === "pending") return colors.cyan(state);
  return state === "rejected" || state === "withdrawn" ? colors.red(state) : state;
}

/** An error that fell is good. */
function paintChange(shell: Shell, text: string): string {
  if (text.startsWith("−")) return shell.colors.green(text);
  return text.startsWith("+") ? shell.colors.red(text) : text;
}

function sayHowToDecide(shell: Shell, fleet: string, pending: readonly Model[]): void {
  const { dim } = shell.progressColors;
  const cohorts = new Map(
    pending.flatMap(({ cohort, cycle }) =>
      cohort === null ? [] : [[cohort.version, { ...cohort, cycle }] as const],
    ),
  );
  for (const { version, members, cycle } of cohorts.values()) {
    say(shell, "");
    say(shell, `  version ${version}: ${several(members, "model")} wait for one decision`);
    say(shell, `  ${dim("approve:")} modelfleet approve ${fleet} --cohort ${cycle}`);
    say(shell, `  ${dim("deny:")}    modelfleet deny ${fleet} --cohort ${cycle} --note "why"`);
  }
  const single = pending.filter(({ cohort }) => cohort === null);
  const [first] = single;
  if (first === undefined) return;
  const { customer } = first;
  const word = /^[A-Za-z0-9._-]+$/.test(customer) ? customer : JSON.stringify(customer);
  say(shell, "");
  say(shell, `  ${several(single.length, "model waits", "models wait")} for a decision`);
  say(shell, `  ${dim("approve:")} modelfleet approve ${fleet} ${word}`);
  say(shell, `  ${dim("deny:")}    modelfleet deny ${fleet} ${word} --note "why"`);
}
