/** `modelfleet apply`: brings a fleet's Temporal Schedule in line with its file, after showing what changes. */
import { userInfo } from "node:os";
import { resolve } from "node:path";
import type { Command } from "commander";
import { changedLines, type ScheduleChange } from "../../fleet/schedule-diff.js";
import {
  applySchedule,
  proposeDriftSchedule,
  proposeSchedule,
  type ScheduleProposal,
} from "../apply-schedule.js";
import { openConnections, type Connections } from "../connections.js";
import { loadFleetFile, type LoadedFleet } from "../fleet-file.js";
import { callerAccount } from "../health-aws.js";
import { confirm } from "./confirm.js";
import { EXIT } from "./exit-codes.js";
import { withExamples, withJson } from "./options.js";
import { fieldLines, printJson, printLines, safe, say } from "./print.js";
import type { Colors, Shell } from "./shell.js";
import { localTime, several, windowTime } from "./words.js";

interface ApplyFlags {
  readonly yes?: true;
  readonly dryRun?: true;
  readonly deleteSchedule?: true;
  readonly json?: true;
}

export function configureApply(command: Command, shell: Shell): void {
  command
    .argument("<fleetfile>", "the fleet file, or the folder that holds fleet.ts")
    .option("--yes", "apply what is shown, without asking")
    .option("--dry-run", "only show what would change")
    .option("--delete-schedule", "delete the schedule of a file that declares none any more");
  withJson(command);
  withExamples(command, [
    "modelfleet apply fleets/churn.fleet.ts --dry-run",
    "modelfleet apply fleets/churn.fleet.ts",
    "modelfleet apply fleets/churn.fleet.ts --yes --json",
  ]);
  command.action((file: string, flags: ApplyFlags) => apply(shell, file, flags));
}

async function apply(shell: Shell, file: string, flags: ApplyFlags): Promise<void> {
  const connections = openConnections(shell.environment());
  try {
    const loaded = await loadFleetFile(resolve(shell.directory, file), () =>
      callerAccount(connections),
    );
    const wish = { deleteSchedule: flags.deleteSchedule === true, now: new Date() };
    const drift = await proposeDriftSchedule(connections, loaded, wish);
    // A fleet may be looked at for drift without being retrained by the calendar.
    const alone = drift !== null && loaded.spec.schedule === undefined && !wish.deleteSchedule;
    const retraining = alone ? null : await proposeSchedule(connections, loaded, wish);
    const applied = async (proposal: ScheduleProposal) => ({
      ...proposal,
      applied: await applyOne(shell, connections, { loaded, proposal, file, flags }),
    });
    const first = retraining === null ? null : await applied(retraining);
    const second = drift === null ? null : await applied(drift);
    if (flags.json) printJson(shell, { ...(first ?? second), drift: second });
  } finally {
    await connections.close();
  }
}

/** Shows, asks and does; whether it was done. */
async function applyOne(
  shell: Shell,
  connections: Connections,
  o: {
    readonly loaded: LoadedFleet;
    readonly proposal: ScheduleProposal;
    readonly file: string;
    readonly flags: ApplyFlags;
  },
): Promise<boolean> {
  const { loaded, proposal, file, flags } = o;
  if (!flags.json) printLines(shell, proposalLines(shell, proposal));
  const wanted = changesSomething(proposal) && flags.dryRun !== true;
  const agreed = wanted && (flags.yes === true || (await ask(shell, proposal, file)));
  if (agreed) {
    await applySchedule(connections, loaded, { proposal, by: userInfo().username });
    say(shell, shell.progressColors.green(DONE[proposal.action]));
  }
  if (wanted && !agreed) {
    say(shell, "nothing was changed");
    shell.exit(EXIT.failed);
  }
  return agreed;
}

const changesSomething = ({ action }: ScheduleProposal): boolean =>
  action === "create" || action === "update" || action === "delete";

const DONE = {
  create: "the schedule is in place",
  update: "the schedule is as the file says",
  delete: "the schedule is gone; what it started goes on",
  nothing: "",
  leave: "",
} as const;

function ask(shell: Shell, { action, fleet }: ScheduleProposal, file: string): Promise<boolean> {
  const question = {
    create: "Create the schedule?",
    update: "Change the schedule?",
    delete: `Delete the schedule of ${fleet}?`,
    nothing: "",
    leave: "",
  }[action];
  const flag = action === "delete" ? " --delete-schedule" : "";
  return confirm(shell, question, `modelfleet apply ${file}${flag} --yes, or --dry-run to look`);
}

function proposalLines(shell: Shell, proposal: ScheduleProposal): string[] {
  const { colors } = shell;
  const { action, fleet, changes, paused, note } = proposal;
  const title = `${colors.bold(fleet)}  ${titleOf(proposal)}`;
  if (action === "leave")
    return [
      title,
      `  ${colors.dim("to end it:")} --delete-schedule, or modelfleet schedule pause ${fleet}`,
    ];
  if (action === "delete") return [title];
  const stays = paused
    ? [
        `  it is ${colors.yellow("paused")}${note === null || note === "" ? "" : ` (${safe(note)})`}, and stays so: modelfleet schedule resume ${fleet}`,
      ]
    : [];
  return [
    title,
    ...(action === "create"
      ? createdLines(shell, changes)
      : changes.flatMap((change) => changeLines(colors, change))),
    "",
    ...nextLines(shell, proposal),
    ...stays,
  ];
}

function titleOf({ action, scheduleId, changes }: ScheduleProposal): string {
  const edited = changes.filter(({ editedByHand }) => editedByHand).length;
  const byHand = edited === 0 ? "" : `, ${edited} edited by hand since it was applied`;
  switch (action) {
    case "create":
      return `the schedule ${scheduleId} would be created`;
    case "update":
      return `${several(changes.length, "field")} of the schedule ${scheduleId} would change${byHand}`;
    case "nothing":
      return `nothing to change: the schedule ${scheduleId} is as the file says`;
    case "delete":
      return `the schedule ${scheduleId} would be deleted; what it started goes on`;
    case "leave":
      return `the file declares no schedule, but ${scheduleId} stands, and was left as it is`;
  }
}

/** Of a new schedule, when and how: with which fleet is what the file says. */
function createdLines(shell: Shell, changes: readonly ScheduleChange[]): string[] {
  return fieldLines(
    shell,
    changes
      .filter(({ field }) => field === "schedule" || field.startsWith("schedule."))
      .map(({ field, becomes }) => [field, safe(becomes ?? "")] as const),
  );
}

function changeLines(colors: Colors, change: ScheduleChange): string[] {
  const { field, was, becomes, editedByHand } = change;
  const hand = editedByHand ? `  ${colors.yellow("edited by hand")}` : "";
  const name = `  ${colors.bold(field)}`;
  if (was === null) return [`${name}: ${colors.green(shown(becomes))}${hand}`];
  if (becomes === null)
    return [`${name}: ${colors.red(shown(was))} ${colors.dim("→ gone")}${hand}`];
  if (!`${was}${becomes}`.trimEnd().includes("\n"))
    return [`${name}: ${colors.red(shown(was))} → ${colors.green(shown(becomes))}${hand}`];
  return [
    `${name}:${hand}`,
    ...changedLines(was, becomes).map((line) => {
      const text = `    ${safe(line)}`;
      return line.startsWith("+") ? colors.green(text) : colors.red(text);
    }),
  ];
}

const shown = (value: string | null): string => {
  const text = safe(value ?? "");
  return text.length > 100 ? `${text.slice(0, 97)}...` : text;
};

function nextLines(shell: Shell, { next, skippedTimes, webPage }: ScheduleProposal): string[] {
  const { colors } = shell;
  const cycles = next.map(({ at, cycle, window }, place) => {
    const title = place === 0 ? "next" : "then";
    return `  ${colors.dim(title)}  ${localTime(at)}  cycle ${cycle}, rows of ${windowTime(window.floor)} up to ${windowTime(window.ceiling)}`;
  });
  const skipped = skippedTimes.map(
    (time) =>
      `  ${colors.yellow("skipped")}  ${time}: the clocks jump over it; 03:00 or later is safe`,
  );
  return [...cycles, ...skipped, ...(webPage === null ? [] : [`  ${colors.dim(webPage)}`])];
}
