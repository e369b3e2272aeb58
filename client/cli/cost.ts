/** `modelfleet cost`: what a fleet's jobs came to, beside what was thought when they were planned. */
import { Option, type Command } from "commander";
import { dollars } from "../../fleet/cost-budget.js";
import { openConnections, type Connections } from "../connections.js";
import {
  readCustomerCosts,
  readCycleCost,
  readFleetCosts,
  readKindCosts,
  type CostSum,
  type CycleCost,
  type FleetCosts,
} from "../costs.js";
import { withExamples, withJson } from "./options.js";
import { fieldLines, printJson, printLines, safe, say, tableLines } from "./print.js";
import type { Shell } from "./shell.js";
import { count, several } from "./words.js";

interface CostFlags {
  readonly cycle?: string;
  readonly by?: "cycle" | "kind" | "customer";
  readonly json?: true;
}

export function configureCost(command: Command, shell: Shell): void {
  command
    .argument("<fleet>", "the fleet's name")
    .option("--cycle <cycle>", "a cycle's id (default: the newest)")
    .addOption(
      new Option(
        "--by <what>",
        "rows by cycle, by kind of job, or by customer (default: cycle; with --cycle: kind)",
      ).choices(["cycle", "kind", "customer"]),
    );
  withJson(command);
  withExamples(command, [
    "modelfleet cost flight-delays",
    "modelfleet cost flight-delays --cycle 2013-07-01",
    "modelfleet cost flight-delays --by customer",
  ]);
  command.action(async (fleet: string, flags: CostFlags) => {
    const connections = openConnections(shell.environment());
    const { cycle, by = cycle === undefined ? "cycle" : "kind" } = flags;
    const named = { fleet, ...(cycle === undefined ? {} : { cycle }) };
    try {
      if (by === "cycle") await byCycle(shell, connections, named, flags);
      else if (by === "kind") await byKind(shell, connections, named, flags);
      else await byCustomer(shell, connections, named, flags);
    } finally {
      await connections.close();
    }
  });
}

interface Named {
  readonly fleet: string;
  readonly cycle?: string;
}

const right = (title: string) => ({ title, align: "right" }) as const;

async function byCycle(
  shell: Shell,
  connections: Connections,
  named: Named,
  { json }: CostFlags,
): Promise<void> {
  const costs = await readFleetCosts(connections, named.fleet);
  const cycles =
    named.cycle === undefined ? costs.cycles : [await readCycleCost(connections, named)];
  if (json) return printJson(shell, { ...costs, cycles });
  const rows = cycles.map((one) => [
    one.cycle,
    one.state,
    count(one.jobs),
    hours(one),
    money(one),
    one.estimateUsd === null ? "–" : dollars(one.estimateUsd),
    one.budgetUsd === null ? "–" : dollars(one.budgetUsd),
  ]);
  const columns = [
    ...[{ title: "cycle" }, { title: "state" }],
    ...["jobs", "instance hours", "cost", "planned", "budget"].map(right),
  ];
  printLines(shell, [
    ...tableLines(shell, columns, rows),
    "",
    ...fieldLines(shell, [
      ...endpointFields(costs),
      ["prices", `${costs.prices.source}, ${costs.prices.asOf}, or the fleet file's`],
    ]),
  ]);
  for (const one of cycles) tellOpen(shell, one);
}

/** Of a fleet with several stages, each by itself first. */
function endpointFields({ endpoints, endpointUsdPerMonth }: FleetCosts): [string, string][] {
  const words = (usd: number | null) =>
    usd === null ? "price not known" : `about ${dollars(usd)} a month`;
  const each = endpoints.map(
    ({ stage, instances, instanceType, usdPerMonth }): [string, string] => [
      stage,
      `${instances} ${instanceType}, ${words(usdPerMonth)}`,
    ],
  );
  const sum =
    endpointUsdPerMonth === null
      ? "not known: serverless, no price, or nothing published yet"
      : `${words(endpointUsdPerMonth)}, estimated, and not in the table`;
  return [...(each.length > 1 ? each : []), ["endpoint", sum]];
}

async function byKind(
  shell: Shell,
  connections: Connections,
  named: Named,
  { json }: CostFlags,
): Promise<void> {
  const total = await readCycleCost(connections, named);
  const { cycle } = total;
  const kinds = await readKindCosts(connections, { fleet: named.fleet, cycle });
  if (json) return printJson(shell, { fleet: named.fleet, ...total, kinds });
  const rows = kinds.map((one) => [
    one.kind,
    one.instanceType,
    count(one.jobs),
    count(one.trainingJobs),
    hours(one),
    one.usdPerHour === null
      ? `no price for ${one.region}`
      : `$${one.usdPerHour} (${one.priceSource ?? "unknown"})`,
    one.warmPoolUsd === 0 ? "–" : dollars(one.warmPoolUsd),
    money(one),
  ]);
  const columns = [
    ...[{ title: "kind" }, { title: "instances" }],
    ...["jobs", "training jobs", "instance hours", "an hour", "of it warm pool", "cost"].map(right),
  ];
  printLines(shell, [
    ...totalLines(shell, named.fleet, total),
    ...(kinds.length === 0 ? [] : ["", ...tableLines(shell, columns, rows)]),
  ]);
  tellOpen(shell, total);
}

async function byCustomer(
  shell: Shell,
  connections: Connections,
  named: Named,
  { json }: CostFlags,
): Promise<void> {
  const total = await readCycleCost(connections, named);
  const { cycle } = total;
  const { customers, sharedBy } = await readCustomerCosts(connections, {
    fleet: named.fleet,
    cycle,
  });
  if (json) return printJson(shell, { fleet: named.fleet, ...total, sharedBy, customers });
  const rows = customers.map((one) => [
    safe(one.customer),
    dollars(one.ownUsd),
    dollars(one.sharedUsd),
    dollars(one.usd),
  ]);
  const columns = [{ title: "customer" }, ...["own jobs", "share", "cost"].map(right)];
  printLines(shell, [
    ...totalLines(shell, named.fleet, total),
    ...(rows.length === 0 ? [] : ["", ...tableLines(shell, columns, rows)]),
  ]);
  if (sharedBy !== null) say(shell, shell.progressColors.dim(SHARED[sharedBy]));
  tellOpen(shell, total);
}

const SHARED = {
  seconds: "jobs for all customers are shared by the seconds that they worked for each",
  equal: "jobs for all customers are shared in equal parts: they do not tell each one's seconds",
} as const;

function totalLines(shell: Shell, fleet: string, total: CycleCost): string[] {
  const { colors } = shell;
  const { estimateUsd, budgetUsd, overBudget } = total;
  return [
    `${colors.bold(fleet)} ${total.cycle} ${total.state}`,
    ...fieldLines(shell, [
      ["cost", `${money(total)}, ${several(total.jobs, "job")}, ${hours(total)} instance hours`],
      [
        "planned",
        estimateUsd === null
          ? "–"
          : `${dollars(estimateUsd)} of training, ${several(total.estimatedTrainingJobs ?? 0, "training job")}`,
      ],
      ["budget", budgetUsd === null ? "none" : dollars(budgetUsd)],
      ...(overBudget === null ? [] : [["stopped", colors.red(overBudget)] as const]),
    ]),
  ];
}

/** What the figures lack is told beside them. */
function tellOpen(shell: Shell, one: CycleCost): void {
  const { dim } = shell.progressColors;
  if (one.openJobs > 0)
    say(
      shell,
      dim(`${one.cycle}: ${several(one.openJobs, "job")} not counted yet: they run, or just ended`),
    );
  if (one.unpricedJobs > 0)
    say(
      shell,
      dim(
        `${one.cycle}: ${several(one.unpricedJobs, "job")} without a price or known seconds: not in the cost ` +
          "(give the price in the fleet file, as prices)",
      ),
    );
}

const money = ({ usd, jobs, unpricedJobs }: CostSum): string =>
  jobs > 0 && jobs === unpricedJobs ? "price not known" : dollars(usd);

const hours = ({ instanceHours }: CostSum): string =>
  instanceHours > 0 && instanceHours < 0.01 ? "< 0.01" : instanceHours.toFixed(2);
