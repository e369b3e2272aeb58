/** `modelfleet endpoint`: how a fleet's endpoints stand, with their metrics as small charts. */
import { InvalidArgumentError, Option, type Command } from "commander";
import { secondsOf } from "../../fleet/duration.js";
import { openConnections } from "../connections.js";
import type { MetricSeries, MetricUnit } from "../endpoint-metrics.js";
import { readEndpoints, type EndpointStanding } from "../endpoints.js";
import { withExamples, withJson } from "./options.js";
import { fieldLines, printJson, printLines, safe, say } from "./print.js";
import type { Shell } from "./shell.js";
import { sparkline } from "./sparkline.js";
import { count, figure, localTime, several } from "./words.js";

interface EndpointFlags {
  readonly since: number;
  readonly stage?: string;
  readonly json?: true;
}

const DEFAULT_SINCE_SECONDS = 3 * 3600;
/** CloudWatch keeps minutes for 15 days. */
const LONGEST_SINCE_SECONDS = 15 * 24 * 3600;

export function configureEndpoint(command: Command, shell: Shell): void {
  command
    .argument("<fleet>", "the fleet's name")
    .addOption(
      new Option("--since <duration>", "how far back, such as 30m, 3h or 2d")
        .argParser(since)
        .default(DEFAULT_SINCE_SECONDS, "3h"),
    )
    .option("--stage <name>", "the stage (default: the newest cycle's last)");
  withJson(command);
  withExamples(command, [
    "modelfleet endpoint flight-delays",
    "modelfleet endpoint flight-delays --since 1d --json",
  ]);
  command.action(async (fleet: string, flags: EndpointFlags) => {
    const connections = openConnections(shell.environment());
    try {
      const { since: sinceSeconds, stage } = flags;
      const wish = { fleet, sinceSeconds, ...(stage === undefined ? {} : { stage }) };
      const report = await readEndpoints(connections, wish);
      if (flags.json) return printJson(shell, report);
      if (report.endpoints.length === 0)
        return say(shell, `nobody is served in stage ${report.stage} of ${fleet}`);
      for (const endpoint of report.endpoints) printLines(shell, endpointLines(shell, endpoint));
      const { start, periodSeconds } = report.span;
      const each = several(periodSeconds / 60, "minute");
      say(shell, shell.progressColors.dim(`since ${localTime(start)}, ${each} a bar`));
    } finally {
      await connections.close();
    }
  });
}

function since(value: string): number {
  const seconds = secondsOf(value);
  if (seconds >= 60 && seconds <= LONGEST_SINCE_SECONDS) return seconds;
  throw new InvalidArgumentError("give a number with m, h or d, such as 3h: 1m to 15d.");
}

function endpointLines(shell: Shell, endpoint: EndpointStanding): string[] {
  const { colors } = shell;
  const { status, endpointName, kind, metrics } = endpoint;
  const state = status ?? "does not exist";
  const painted = status === "InService" ? colors.green(state) : colors.yellow(state);
  const facts = [
    ["config", endpoint.config ?? "–"],
    ["capacity", capacity(endpoint)],
    ["customers", count(endpoint.customers)],
    ...(endpoint.changedAt === null ? [] : [["changed", localTime(endpoint.changedAt)] as const]),
    ...(endpoint.failureReason === null
      ? []
      : [["reason", colors.red(safe(endpoint.failureReason))] as const]),
  ] as const;
  return [
    `${colors.bold(safe(endpointName))}  ${painted}  ${colors.dim(kind)}`,
    ...fieldLines(shell, facts),
    "",
    ...(metrics.length === 0
      ? [colors.dim("  no metrics in this time")]
      : chartLines(shell, metrics)),
    "",
  ];
}

function capacity({ instances, serverless }: EndpointStanding): string {
  if (serverless !== null)
    return `serverless, ${count(serverless.memorySizeInMb)} MB, ${several(serverless.maxConcurrency, "invocation")} at a time`;
  return instances === null ? "–" : several(instances, "instance");
}

function chartLines(shell: Shell, metrics: readonly MetricSeries[]): string[] {
  const name = Math.max(...metrics.map((one) => one.name.length));
  return metrics.map((metric) => {
    const chart = sparkline(metric.values);
    const told = `${summary(metric)}`;
    return `  ${shell.colors.dim(metric.name.padEnd(name))}  ${shell.colors.cyan(chart)}  ${told}`;
  });
}

/** A sum of what was counted; else the last value and the largest. */
function summary({ values, statistic, unit }: MetricSeries): string {
  const known = values.filter((value) => value !== null);
  if (statistic === "Sum") return count(known.reduce((sum, value) => sum + value, 0));
  const last = known.at(-1);
  return `${inUnit(last ?? 0, unit)}, at most ${inUnit(Math.max(...known), unit)}`;
}

function inUnit(value: number, unit: MetricUnit): string {
  switch (unit) {
    case "microseconds":
      return `${figure(value / 1000)} ms`;
    case "ratio":
      return `${(100 * value).toFixed(0)} %`;
    case "percent":
      return `${value.toFixed(1)} %`;
    case "count":
      return Number.isInteger(value) ? count(value) : figure(value);
  }
}
