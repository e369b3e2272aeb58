/** `modelfleet schedule`: shows the schedules of fleets, pauses and resumes them, starts cycles out of turn. */
import { userInfo } from "node:os";
import type { Command } from "commander";
import type { ScheduleChange } from "../../fleet/schedule-diff.js";
import { openConnections, type Connections } from "../connections.js";
import { UsageError } from "../errors.js";
import { listSchedules, readSchedule, type ScheduleDetails } from "../schedules.js";
import {
  backfillSchedule,
  pauseSchedule,
  planBackfill,
  resumeSchedule,
  triggerSchedule,
  type BackfillPlan,
} from "../steer-schedule.js";
import { confirm } from "./confirm.js";
import { EXIT } from "./exit-codes.js";
import { atTime, withExamples, withJson } from "./options.js";
import { fieldLines, printJson, printLines, safe, say, tableLines } from "./print.js";
import type { Shell } from "./shell.js";
import { localTime, several, windowTime } from "./words.js";

interface Flags {
  readonly note?: string;
  readonly json?: true;
}

type Act<Options> = (
  shell: Shell,
  connections: Connections,
  fleet: string,
  options: Options,
) => Promise<void>;

export function configureSchedule(command: Command, shell: Shell): void {
  withExamples(command, [
    "modelfleet schedule list",
    "modelfleet schedule show churn",
    'modelfleet schedule pause churn --note "the warehouse is being moved"',
    "modelfleet schedule backfill churn --from 2026-07-01 --to 2026-09-30",
  ]);
  withJson(command.command("list").description("List the schedules of all fleets.")).action(
    (flags: Flags) => withConnections(shell, (connections) => list(shell, connections, flags)),
  );
  subcommand(
    command,
    shell,
    "show",
    "When a fleet is retrained next, and what the last runs came to.",
    show,
  );
  const pause = subcommand(
    command,
    shell,
    "pause",
    "Start no more cycles until it is resumed.",
    doPause,
  );
  pause.option("--note <text>", "why (default: by whom)");
  const resume = subcommand(command, shell, "resume", "Go on as scheduled.", doResume);
  resume.option("--note <text>", "why (default: by whom)");
  subcommand(command, shell, "trigger", "Start a cycle for this minute, now.", trigger);
  const backfill = subcommand(
    command,
    shell,
    "backfill",
    "Start the cycles that were due in a time that has passed, one after the other.",
    doBackfill,
  );
  backfill
    .requiredOption("--from <date>", "the first time (included)", atTime)
    .requiredOption("--to <date>", "the last time (included)", atTime)
    .option("--yes", "start them without asking")
    .option("--dry-run", "only list them");
}

/** `modelfleet schedule NAME FLEET`. */
function subcommand<Options extends Flags>(
  parent: Command,
  shell: Shell,
  name: string,
  description: string,
  act: Act<Options>,
): Command {
  const command = parent
    .command(name)
    .description(description)
    .argument("<fleet>", "the fleet's name");
  return withJson(command).action((fleet: string, options: Options) =>
    withConnections(shell, (connections) => act(shell, connections, fleet, options)),
  );
}

async function withConnections(
  shell: Shell,
  use: (connections: Connections) => Promise<void>,
): Promise<void> {
  const connections = openConnections(shell.environment());
  try {
    await use(connections);
  } finally {
    await connections.close();
  }
}

async function list(shell: Shell, connections: Connections, { json }: Flags): Promise<void> {
  const schedules = await listSchedules(connections);
  if (json) return printJson(shell, { schedules });
  if (schedules.length === 0)
    return say(shell, "no fleet has a schedule yet: modelfleet apply FLEETFILE");
  const rows = schedules.map(({ fleet, paused, note, nextStarts }) => [
    fleet,
    paused ? shell.colors.yellow("paused") : "active",
    paused || nextStarts[0] === undefined ? "–" : localTime(nextStarts[0]),
    safe(note ?? ""),
  ]);
  const columns = [{ title: "fleet" }, { title: "state" }, { title: "next" }, { title: "note" }];
  printLines(shell, tableLines(shell, columns, rows));
}

async function show(
  shell: Shell,
  connections: Connections,
  fleet: string,
  { json }: Flags,
): Promise<void> {
  const details = await readSchedule(connections, fleet);
  if (json) printJson(shell, details);
  else printLines(shell, detailLines(shell, details));
}

function detailLines(shell: Shell, details: ScheduleDetails): string[] {
  const { colors } = shell;
  const { fleet, scheduleId, paused, note, nextStarts, applied, skipped, missed } = details;
  const state = paused ? colors.yellow("paused") : colors.green("active");
  const counted = [
    ...(skipped === 0 ? [] : [`${skipped} skipped, since a cycle was running`]),
    ...(missed === 0 ? [] : [`${missed} missed for longer than the catch-up window`]),
  ];
  return [
    `${colors.bold(fleet)}  ${state}${note === null ? "" : `  ${safe(note)}`}  ${colors.dim(scheduleId)}`,
    "",
    ...fieldLines(shell, [
      ["when", `${details.times} (${details.timezone})`],
      ["jitter", details.jitter],
      ["if one runs", `${details.overlap} (overlap policy)`],
      ["if missed", `made up for within ${details.catchupWindow}`],
      ...(paused ? [] : nextStarts.slice(0, 3).map((at) => ["next start", localTime(at)] as const)),
      ...(counted.length === 0 ? [] : [["left out", counted.join("; ")] as const]),
      [
        "applied",
        applied === null ? "not known" : `${localTime(applied.at)} by ${safe(applied.by)}`,
      ],
      ...editFields(details.edits),
      ...(details.webPage === null ? [] : [["web page", details.webPage] as const]),
    ]),
    ...runLines(shell, details),
  ];
}

function editFields(edits: readonly ScheduleChange[] | null): (readonly [string, string])[] {
  if (edits === null)
    return [["edited", "by hand: what was applied is no longer known; modelfleet apply shows it"]];
  return edits.map(({ field, was, becomes }) => [
    "edited",
    was === null && becomes === null
      ? `by hand: ${field}; modelfleet apply shows how`
      : `by hand: ${field} from ${safe(was ?? "nothing")} to ${safe(becomes ?? "nothing")}`,
  ]);
}

function runLines(shell: Shell, { runs, fleet }: ScheduleDetails): string[] {
  if (runs.length === 0) return ["", "  it has started nothing yet"];
  const rows = runs.map(({ cycle, dueAt, startedAt, state }) => [
    cycle,
    localTime(dueAt),
    localTime(startedAt),
    state ?? "no longer known",
  ]);
  const columns = [{ title: "cycle" }, { title: "due" }, { title: "started" }, { title: "state" }];
  return [
    "",
    ...tableLines(shell, columns, rows),
    `  ${shell.colors.dim("more:")} modelfleet history ${fleet}`,
  ];
}

const doPause: Act<Flags> = async (shell, connections, fleet, { note, json }) => {
  const said = note ?? `paused by ${userInfo().username}`;
  const paused = await pauseSchedule(connections, { fleet, note: said });
  if (json) return printJson(shell, paused);
  const why = paused.note === null ? "" : ` (${safe(paused.note)})`;
  say(
    shell,
    paused.changed
      ? `${fleet} is paused: no cycle starts until modelfleet schedule resume ${fleet}; one that runs goes on`
      : `${fleet} was paused before${why}; nothing was changed`,
  );
};

const doResume: Act<Flags> = async (shell, connections, fleet, { note, json }) => {
  const said = note ?? `resumed by ${userInfo().username}`;
  const resumed = await resumeSchedule(connections, { fleet, note: said });
  if (json) return printJson(shell, resumed);
  say(
    shell,
    resumed.changed
      ? `${fleet} goes on as scheduled; cycles that were left out: modelfleet schedule backfill ${fleet}`
      : `${fleet} was not paused; nothing was changed`,
  );
};

const trigger: Act<Flags> = async (shell, connections, fleet, { json }) => {
  const triggered = await triggerSchedule(connections, fleet);
  if (json) return printJson(shell, triggered);
  const { cycle } = triggered;
  if (cycle === null)
    return say(shell, `a cycle of ${fleet} starts when the running one has ended`);
  say(shell, `cycle ${cycle} of ${fleet} has been started`);
  say(shell, `  follow it:  modelfleet status ${fleet} --cycle ${cycle} --follow`);
};

interface BackfillFlags extends Flags {
  readonly from: string;
  readonly to: string;
  readonly yes?: true;
  readonly dryRun?: true;
}

const doBackfill: Act<BackfillFlags> = async (shell, connections, fleet, flags) => {
  const [from, to] = [new Date(flags.from), new Date(flags.to)];
  if (to < from) throw new UsageError("--to is before --from", "exchange the two dates");
  const plan = await planBackfill(connections, { fleet, from, to });
  if (!flags.json) printLines(shell, planLines(plan));
  const wanted = plan.cycles.length > 0 && flags.dryRun !== true;
  const instead = `modelfleet schedule backfill ${fleet} --from … --to … --yes, or --dry-run to look`;
  const agreed = wanted && (flags.yes === true || (await confirm(shell, "Start them?", instead)));
  if (agreed) {
    await backfillSchedule(connections, plan);
    say(shell, `they run one after the other: modelfleet schedule show ${fleet}`);
  }
  if (flags.json) printJson(shell, { ...plan, started: agreed });
  if (wanted && !agreed) {
    say(shell, "nothing was started");
    shell.exit(EXIT.failed);
  }
};

function planLines({ fleet, cycles }: BackfillPlan): string[] {
  if (cycles.length === 0) return [`no cycle of ${fleet} was due in that time`];
  return [
    `${several(cycles.length, "cycle")} of ${fleet}; one that has completed is not run again`,
    ...cycles.map(
      ({ at, cycle, window }) =>
        `  ${cycle}  due ${localTime(at)}, rows of ${windowTime(window.floor)} up to ${windowTime(window.ceiling)}`,
    ),
  ];
}
