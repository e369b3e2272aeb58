/** `modelfleet approve FLEET --cohort …`: decides all models of a cohort at once, once they were shown. */
import { count, several } from "./words.js";
import { describeFigures } from "../../fleet/cohort.js";
import { LIMITS } from "../../fleet/limits.js";
import type { Decision } from "../../workflows/messages.js";
import { decideCohort } from "../cohort-decisions.js";
import { findCohort, memberKeys, type Cohort } from "../cohorts.js";
import type { Connections } from "../connections.js";
import { ClientError, UsageError } from "../errors.js";
import { readModels, type Model } from "../models.js";
import { isPolled } from "../watch-cycle.js";
import { confirm } from "./confirm.js";
import type { DecideFlags, Verdict } from "./decide-flags.js";
import { modelLines } from "./models.js";
import { printJson, printLines, safe, say } from "./print.js";
import type { Shell } from "./shell.js";

/** More are counted, not listed: nobody reads a thousand lines before a question. */
const LISTED = 20;

export async function decideWhole(
  shell: Shell,
  connections: Connections,
  fleet: string,
  decision: Decision & { readonly verdict: Verdict },
  flags: DecideFlags,
): Promise<void> {
  const { cohort: cycle, version } = flags;
  const cohort = await findCohort(connections, {
    fleet,
    ...(cycle === undefined ? {} : { cycle }),
    ...(version === undefined ? {} : { version }),
  });
  assertOpen(cohort, decision.verdict, flags);
  const except = await memberKeys(connections, cohort, namesIn(flags.except));
  if (except.length >= cohort.members)
    throw new UsageError("--except leaves out every member", `modelfleet deny ${fleet} …`);
  if (!flags.json) await preview(shell, connections, cohort, decision.verdict, except);
  if (!(await agreed(shell, cohort, decision.verdict, flags))) {
    if (flags.json) printJson(shell, documentOf(cohort, decision, except, { decided: false }));
    else say(shell, "nothing was changed");
    return;
  }
  if (!(await isPolled(await connections.temporal())))
    throw new ClientError("no worker runs, so nobody carries decisions out", "modelfleet worker");
  const whole = except.length === 0 ? decision : { ...decision, except };
  const { withdrawalWorkflowId = null } = await decideCohort(connections, cohort, whole);
  const outcome = { decided: true, withdrawalWorkflowId };
  if (flags.json) printJson(shell, documentOf(cohort, decision, except, outcome));
  else report(shell, cohort, decision, except, withdrawalWorkflowId);
}

/** Customers, set apart by commas; a comma in one's id: use its key. */
export function namesIn(text: string | undefined): string[] {
  const names = (text ?? "").split(",").map((name) => name.trim());
  const known = [...new Set(names.filter((name) => name !== ""))];
  if (known.length > LIMITS.cohortExceptions)
    throw new UsageError(
      `--except names ${count(known.length)} customers, at most ${count(LIMITS.cohortExceptions)} are left out so`,
      "tighten the gate in the fleet file, and run the cycle again",
    );
  return known;
}

/** Without its number only what waits: a denial repeated by mistake would take the one before away as well. */
function assertOpen(cohort: Cohort, verdict: Verdict, { version }: DecideFlags): void {
  const { fleet, state } = cohort;
  if (state === "pending") return;
  const serves = state === "approved" || state === "published";
  if (verdict === "deny" && serves && version !== undefined) return;
  const who = cohort.decidedBy === null ? "" : `, decided by ${cohort.decidedBy}`;
  throw new ClientError(
    `version ${cohort.version} of fleet "${fleet}" (cycle ${cohort.cycle}, ${several(cohort.members, "model")}) ` +
      `does not wait for a decision: it is ${state}${who}`,
    verdict === "deny" && serves
      ? `modelfleet deny ${fleet} --version ${cohort.version} --note "why" withdraws all of it`
      : `modelfleet history ${fleet}`,
  );
}

async function preview(
  shell: Shell,
  connections: Connections,
  cohort: Cohort,
  verdict: Verdict,
  except: readonly string[],
): Promise<void> {
  const { fleet, version, cycle, members, figures } = cohort;
  const lines = [
    `${shell.colors.bold(fleet)} version ${version}, cycle ${cycle}`,
    `  ${describeFigures(members, figures)}`,
  ];
  const models = await readModels(connections, { fleet, cycle, allVersions: true });
  const own = models.filter((model) => model.version === version);
  const asking = own.filter(({ decision }) => decision === "ask");
  const left = own.filter(({ customerKey }) => except.includes(customerKey));
  printLines(shell, [
    ...lines,
    ...(verdict === "approve" ? listed(shell, "Ask for a person", asking, figures.metric) : []),
    ...listed(shell, "Left out, their champion stays", left, figures.metric),
  ]);
  const past = verdict === "approve" ? "approved and published" : "denied";
  const out = except.length === 0 ? "" : `, ${count(except.length)} left out`;
  const serving = cohort.states.serving ?? 0;
  const now =
    verdict === "deny" && serving > 0
      ? `; ${count(serving)} that serve would be withdrawn, the version before returns`
      : "";
  say(shell, `${several(members - except.length, "model")} would be ${past}${out}${now}`);
}

function listed(shell: Shell, title: string, models: readonly Model[], metric: string): string[] {
  if (models.length === 0) return [];
  const more = models.length - LISTED;
  return [
    "",
    `  ${title} (${count(models.length)})`,
    ...modelLines(shell, models.slice(0, LISTED), metric),
    ...(more > 0 ? [`  … and ${count(more)} more`] : []),
  ];
}

/** On a terminal it is asked; elsewhere only --yes agrees, and what would be decided is all that is shown. */
async function agreed(
  shell: Shell,
  { fleet, version }: Cohort,
  verdict: Verdict,
  flags: DecideFlags,
): Promise<boolean> {
  if (flags.yes === true) return true;
  if (flags.json === true) return false;
  if (shell.stdin.isTTY !== true) {
    say(shell, `add --yes to ${verdict} it`);
    return false;
  }
  const instead = `modelfleet ${verdict} ${fleet} --version ${version} --yes`;
  return confirm(shell, `${verdict} version ${version} of all customers?`, instead);
}

const documentOf = (
  { fleet, version, cycle, members }: Cohort,
  { verdict, by }: Decision,
  except: readonly string[],
  outcome: { readonly decided: boolean; readonly withdrawalWorkflowId?: string | null },
) => ({
  ...{ fleet, verdict, cohort: { version, cycle, members }, except, by },
  withdrawalWorkflowId: null,
  ...outcome,
});

function report(
  shell: Shell,
  { fleet, version, members }: Cohort,
  { verdict, by }: Decision,
  except: readonly string[],
  withdrawalWorkflowId: string | null,
): void {
  const models = `version ${version}: ${several(members - except.length, "model")} by ${safe(by)}`;
  if (verdict === "approve") {
    const out = except.length === 0 ? "" : `, ${count(except.length)} left out`;
    printLines(shell, [
      `${shell.colors.green("approved")}  ${models}${out}; they are being published`,
    ]);
    return say(shell, `  look: modelfleet status ${fleet}`);
  }
  const more =
    withdrawalWorkflowId === null
      ? ""
      : `; they are being withdrawn (workflow ${withdrawalWorkflowId})`;
  printLines(shell, [`${shell.colors.yellow("denied")}  ${models}${more}`]);
}
