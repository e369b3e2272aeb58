/** `modelfleet drift`: looks for drift now, and shows who has moved, by which figures, and what is done about it. */
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import type { Command } from "commander";
import { openConnections, type Connections } from "../connections.js";
import { awaitDriftRun, readDrift, startDriftRun, type DriftResult } from "../drift.js";
import { anyAccount, loadFleetFile } from "../fleet-file.js";
import { callerAccount } from "../health-aws.js";
import { workflowPage } from "../settings.js";
import { EXIT } from "./exit-codes.js";
import { atTime, today, withExamples, withJson } from "./options.js";
import { printJson, printLines, safe, say, tableLines } from "./print.js";
import type { Shell } from "./shell.js";
import { count, several, windowTime } from "./words.js";

interface DriftFlags {
  readonly at?: string;
  readonly dryRun?: true;
  readonly last?: true;
  readonly run?: string;
  readonly all?: true;
  readonly json?: true;
}

export function configureDrift(command: Command, shell: Shell): void {
  command
    .argument(
      "<fleet>",
      "the fleet file, or the folder that holds fleet.ts; with --last or --run also the fleet's name",
    )
    .option(
      "--at <date>",
      "the time to look from; newer rows do not count (default: today)",
      atTime,
    )
    .option("--dry-run", "only show what it would do")
    .option("--last", "show what the newest look has found; start none")
    .option("--run <run>", "show what this look has found: the id of the cycle that it called for")
    .option("--all", "show also the customers that have not moved");
  withJson(command);
  withExamples(command, [
    "modelfleet drift examples/drift --dry-run",
    "modelfleet drift examples/drift --at 2025-05-01",
    "modelfleet drift machines --last --all",
    "modelfleet drift machines --run 2025-05-01-drift",
  ]);
  command.action(async (named: string, flags: DriftFlags) => {
    const connections = openConnections(shell.environment());
    try {
      const all = flags.all === true;
      const result =
        flags.last === true || flags.run !== undefined
          ? await readDrift(connections, {
              fleet: await nameOf(shell, named),
              ...(flags.run === undefined ? {} : { run: flags.run }),
              all,
            })
          : await look(shell, connections, named, flags);
      if (flags.json) printJson(shell, result);
      else printLines(shell, driftLines(shell, result));
      if (result.state === "failed") shell.exit(EXIT.failed);
    } finally {
      await connections.close();
    }
  });
}

async function nameOf(shell: Shell, named: string): Promise<string> {
  const path = resolve(shell.directory, named);
  return existsSync(path) ? (await loadFleetFile(path, anyAccount)).spec.name : named;
}

async function look(
  shell: Shell,
  connections: Connections,
  file: string,
  flags: DriftFlags,
): Promise<DriftResult> {
  const loaded = await loadFleetFile(resolve(shell.directory, file), () =>
    callerAccount(connections),
  );
  const dryRun = flags.dryRun === true;
  const started = await startDriftRun(connections, loaded, { at: flags.at ?? today(), dryRun });
  const { fleet, run, how } = started;
  if (how === "found") say(shell, `${run} has been started before: here is what it came to`);
  const page = workflowPage(connections.environment, started);
  if (page !== undefined) say(shell, `watch it at ${page}`);
  await awaitDriftRun(connections, started);
  return readDrift(connections, { fleet, run, all: flags.all === true });
}

const SHOWN = 30;

export function driftLines(shell: Shell, result: DriftResult): string[] {
  const { colors } = shell;
  const { fleet, run, at, dryRun, compared, customers, drifted, retrained, scored } = result;
  const would = dryRun ? "would be retrained" : "retrained";
  const asked = scored > 0 ? `, ${several(scored, "model")} asked` : "";
  const shown = result.findings.slice(0, SHOWN);
  const more = result.findings.length - shown.length;
  return [
    `${colors.bold(fleet)} ${run}  ${colors.dim(dryRun ? "nothing has been started" : `state: ${result.state}`)}`,
    `  rows up to ${windowTime(at)}: ${count(compared)} of ${several(customers, "customer")} compared${asked}, ` +
      `${count(drifted)} drifted, ${count(retrained)} ${would}`,
    ...(result.reason === null ? [] : [`  ${colors.red(safe(result.reason))}`]),
    ...(shown.length === 0 ? [] : ["", ...findingLines(shell, shown, dryRun)]),
    ...(more > 0 ? [colors.dim(`  and ${count(more)} more (--json lists all)`)] : []),
    ...(result.cycle === null
      ? []
      : ["", `  ${colors.dim("its cycle:")} modelfleet status ${fleet} --cycle ${result.cycle}`]),
  ];
}

function findingLines(shell: Shell, findings: DriftResult["findings"], dryRun: boolean): string[] {
  const right = (title: string) => ({ title, align: "right" }) as const;
  const columns = [
    ...[{ title: "customer" }, { title: "worst" }],
    ...["PSI", "KS", "error", "rows then", "now"].map(right),
    ...[{ title: "is" }, { title: "because" }],
  ];
  const rows = findings.map((finding) => [
    safe(finding.customer),
    safe(finding.figures[0]?.column ?? "–"),
    ...(["psi", "ks", "error"] as const).map((measure) => worst(finding, measure)),
    count(finding.referenceRows),
    count(finding.newestRows),
    actionWords(finding, dryRun),
    safe(finding.leftBecause ?? finding.because),
  ]);
  return tableLines(shell, columns, rows);
}

function worst({ figures }: DriftResult["findings"][number], measure: string): string {
  const value = figures.find((figure) => figure.measure === measure)?.value;
  return value === undefined ? "–" : String(Number(value.toPrecision(3)));
}

function actionWords(
  { action, drifted }: DriftResult["findings"][number],
  dryRun: boolean,
): string {
  if (action === "retrain") return dryRun ? "to retrain" : "retrained";
  return drifted ? "left" : "as it was";
}
