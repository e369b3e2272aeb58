/** `modelfleet plan`: what a run would do and cost, without doing it. */
import { resolve } from "node:path";
import type { Command } from "commander";
import { durationText } from "../../fleet/duration.js";
import { ENDPOINT_QUOTA_HINT } from "../../fleet/endpoint-quota.js";
import { isStaged } from "../../fleet/stages.js";
import { openConnections } from "../connections.js";
import { anyAccount, loadFleetFile } from "../fleet-file.js";
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
      const loaded = await loadFleetFile(resolve(shell.directory, file), anyAccount);
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
  const { window, train, skipped, failing } = preview;
  const kinds = [`${count(train.customers)} to train`];
  if (skipped.length > 0) kinds.push(`${skipped.length} skipped`);
  if (failing.length > 0) kinds.push(colors.red(`${failing.length} would fail`));
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
          `${preview.trainingJobs.atATime} at a time, ${instanceHoursOf(preview)}`,
      ],
      ...preview.cycleJobs.map(cycleJobsLine),
      ...stagesField(preview),
      ["cost", costLine(preview)],
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

function cycleJobsLine(planned: RunPreview["cycleJobs"][number]): [string, string] {
  const { kind, jobs, instances, instanceType } = planned;
  const of = kind === "preprocessor" ? several(jobs, "training job") : several(jobs, "job");
  const on = instances === 1 ? instanceType : `${instances} ${instanceType} each`;
  return [kind, `${of} on ${on}, ${instanceHoursOf(planned)}`];
}

/** They are rounded: a short job is not none. */
const instanceHoursOf = ({ instanceHours }: { readonly instanceHours: number }): string =>
  `${instanceHours === 0 ? "less than 0.01" : instanceHours} instance hours`;

function costLine({ cost, cycleJobs, serverless, stages }: RunPreview): string {
  const part = (usd: number | null, what: string) =>
    usd === null ? `${what} at a price not known` : `${money(usd)} of ${what}`;
  const jobs = [
    part(cost.trainingUsd, "training"),
    ...cycleJobs.map(({ kind, usd }) => part(usd, kind)),
  ].join(", ");
  const monthly = cost.endpointUsdPerMonth;
  const endpoint =
    serverless !== null
      ? `${money(serverless.usdPerThousandCalls)} for 1,000 calls, and nothing while nobody calls`
      : monthly === null
        ? "at a price not known"
        : `${money(monthly)} a month`;
  const where = isStaged(stages) ? "stages' endpoints" : "endpoint";
  return `${jobs} on AWS; the ${where} ${endpoint}`;
}

/** Of a fleet with several. */
function stagesField({ stages }: RunPreview): [string, string][] {
  if (!isStaged(stages)) return [];
  const wants = { release: "", none: " (unapproved)", stage: " (approved by itself)" };
  const texts = stages.map(
    ({ name, approval, lagSeconds }) =>
      `${name}${wants[approval]}${lagSeconds === 0 ? "" : ` after ${durationText(lagSeconds)}`}`,
  );
  return [["stages", texts.join(" → ")]];
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
