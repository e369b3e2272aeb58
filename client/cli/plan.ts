/** `modelfleet plan`: what a run would do and cost, without doing it. */
import { resolve } from "node:path";
import type { Command } from "commander";
import { ENDPOINT_QUOTA_HINT } from "../../fleet/endpoint-quota.js";
import { openConnections } from "../connections.js";
import { loadFleetFile } from "../fleet-file.js";
import { previewRun, type LeftOut, type RunPreview } from "../preview.js";
import { atTime, today, withExamples, withJson } from "./options.js";
import { fieldLines, printJson, printLines, safe, tableLines } from "./print.js";
import type { Shell } from "./shell.js";
import { count, money, several, windowTime } from "./words.js";

interface PlanFlags {
  readonly at?: string;
  readonly json?: true;
}

export function configurePlan(command: Command, shell: Shell): void {
  command
    .argument("<fleetfile>", "the fleet file, or the folder that holds fleet.ts")
    .option(
      "--at <date>",
      "the time the cycle is for; its window ends there (default: today)",
      atTime,
    );
  withJson(command);
  withExamples(command, [
    "modelfleet plan examples/flights/fleet.ts --at 2013-07-01",
    "modelfleet plan fleets/churn.fleet.ts --json",
  ]);
  command.action(async (file: string, flags: PlanFlags) => {
    const connections = openConnections(shell.environment());
    try {
      const loaded = await loadFleetFile(resolve(shell.directory, file));
      const preview = await previewRun(connections, loaded, { at: flags.at ?? today() });
      if (flags.json) printJson(shell, preview);
      else printLines(shell, planLines(shell, preview, file, flags.at));
    } finally {
      await connections.close();
    }
  });
}

function planLines(
  shell: Shell,
  preview: RunPreview,
  file: string,
  at: string | undefined,
): string[] {
  const { colors } = shell;
  const { window, cost, train, skipped, failing } = preview;
  const kinds = [`${count(train.customers)} to train`];
  if (skipped.length > 0) kinds.push(`${skipped.length} skipped`);
  if (failing.length > 0) kinds.push(colors.red(`${failing.length} would fail`));
  const training = cost.trainingUsd === null ? "price not known" : money(cost.trainingUsd);
  const endpoint =
    cost.endpointUsdPerMonth === null
      ? "price not known"
      : `${money(cost.endpointUsdPerMonth)} a month`;
  return [
    `${colors.bold(preview.fleet)} ${preview.cycle}  ${colors.dim("nothing has been started")}`,
    "",
    ...fieldLines(shell, [
      ["window", `${windowTime(window.floor)} up to ${windowTime(window.ceiling)}`],
      ["rows", count(preview.rows)],
      ["customers", `${count(preview.customers)}: ${kinds.join(", ")}`],
      ["champions", preview.champions === 0 ? "none yet" : `${count(preview.champions)} to beat`],
      [
        "training",
        `${several(preview.trainingJobs.most, "job")} on ${preview.trainingJobs.instanceType}, ` +
          `${preview.trainingJobs.atATime} at a time, ${preview.instanceHours} instance hours`,
      ],
      ["cost", `${training} of training on AWS; the endpoint ${endpoint}`],
    ]),
    ...(preview.refused === null
      ? []
      : ["", `  ${colors.red("would be refused")}  ${preview.refused}`]),
    ...wayLines(shell, preview.ways),
    ...leftOutLines(colors.dim("Skipped"), skipped),
    ...leftOutLines(colors.red("Would fail"), failing),
    "",
    ...preview.overQuota.map((refusal) => colors.red(`  ${refusal}: ${ENDPOINT_QUOTA_HINT}`)),
    ...preview.assumptions.map((assumption) => colors.dim(`  ${assumption}`)),
    "",
    `  ${colors.dim("to do it:")} modelfleet run ${file}${at === undefined ? "" : ` --at ${windowTime(at)}`}`,
  ];
}

/** What the same models would take as a job for each customer, beside the one job that the fleet declares. */
function wayLines(shell: Shell, ways: RunPreview["ways"]): string[] {
  if (ways.length === 0) return [];
  const right = (title: string) => ({ title, align: "right" }) as const;
  const columns = [
    { title: "way" },
    ...["jobs", "instance hours", "of them start-up", "hours", "cost"].map(right),
  ];
  const rows = ways.map((way) => [
    way.way === "packed" ? "one sharded job (declared)" : eachWay(way.tuningJobs),
    count(way.trainingJobs),
    ...[way.instanceHours, way.startUpHours, way.wallHours].map(String),
    way.usd === null ? "not known" : money(way.usd),
  ]);
  return ["", ...tableLines(shell, columns, rows)];
}

const eachWay = (tuningJobs: number): string =>
  tuningJobs === 0
    ? "one training job a customer"
    : `one tuning job a customer (${count(tuningJobs)})`;

const SHOWN = 12;

function leftOutLines(title: string, customers: readonly LeftOut[]): string[] {
  if (customers.length === 0) return [];
  const shown = customers.slice(0, SHOWN);
  const width = Math.max(...shown.map(({ customer }) => safe(customer).length));
  const lines = shown.map(
    ({ customer, because }) => `    ${safe(customer).padEnd(width)}  ${because}`,
  );
  const more = customers.length - shown.length;
  if (more > 0) lines.push(`    and ${more} more (--json lists all)`);
  return ["", `  ${title}`, ...lines];
}
