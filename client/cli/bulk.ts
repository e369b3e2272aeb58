/** Many decisions with one command: shows what would be decided, asks, and decides with its progress told. */
import { stratifiedSample } from "../../fleet/sample.js";
import { decideInBulk, type BulkResult } from "../bulk-decide.js";
import {
  readCandidates,
  selectCandidates,
  type Candidate,
  type Candidates,
  type Selection,
} from "../bulk-candidates.js";
import type { Connections } from "../connections.js";
import { ClientError } from "../errors.js";
import { isPolled } from "../watch-cycle.js";
import { bulkProgress } from "./bulk-progress.js";
import { confirm } from "./confirm.js";
import type { DecideFlags, Verdict } from "./decide-flags.js";
import { EXIT } from "./exit-codes.js";
import { modelLines } from "./models.js";
import { printJson, printLines, safe, say } from "./print.js";
import type { Shell } from "./shell.js";
import { count, several } from "./words.js";

interface BulkDecision {
  readonly verdict: Verdict;
  readonly by: string;
  readonly note?: string;
}

/** More are counted, not listed: nobody reads a thousand lines before a question. */
const LISTED = 20;

export async function bulk(
  shell: Shell,
  connections: Connections,
  fleet: string,
  decision: BulkDecision,
  flags: DecideFlags,
): Promise<void> {
  const { verdict } = decision;
  const candidates = await readCandidates(connections, fleet);
  if (candidates.all.length === 0) {
    if (flags.json) printJson(shell, { fleet, verdict, decided: [], leftOut: [] });
    return say(shell, "nothing waits for a decision");
  }
  const selection = selectCandidates(candidates, {
    ...(flags.where === undefined ? {} : { where: flags.where }),
    exceptOutliers: flags.exceptOutliers === true,
  });
  if (!flags.json) preview(shell, verdict, candidates, selection, flags);
  if (selection.chosen.length === 0 || !(await agreed(shell, verdict, selection, flags))) {
    if (flags.json) printJson(shell, wouldDecide(fleet, verdict, selection, flags));
    return;
  }
  await carryOut(shell, connections, { fleet, decision, selection, flags });
}

const shownOf = ({ chosen }: Selection, { sample }: DecideFlags): readonly Candidate[] =>
  sample === undefined
    ? chosen.slice(0, LISTED)
    : stratifiedSample(chosen, sample, ({ gain }) => gain);

function preview(
  shell: Shell,
  verdict: Verdict,
  { all }: Candidates,
  selection: Selection,
  flags: DecideFlags,
): void {
  const { chosen, unmatched, outliers } = selection;
  const shown = shownOf(selection, flags);
  const metric = chosen[0]?.judged.metric ?? "rmse";
  if (shown.length > 0) printLines(shell, modelLines(shell, shown, metric));
  if (shown.length < chosen.length)
    say(
      shell,
      flags.sample === undefined
        ? `  … and ${count(chosen.length - shown.length)} more`
        : `  ${count(shown.length)} of ${count(chosen.length)}, spread over the range of improvement`,
    );
  if (outliers.length > 0) {
    printLines(shell, [
      `Left for a look (${count(outliers.length)})`,
      ...outliers
        .slice(0, LISTED)
        .map(
          ({ candidate, because }) =>
            `  ${safe(candidate.customer)} version ${candidate.version}: ${because}`,
        ),
    ]);
    if (outliers.length > LISTED) say(shell, `  … and ${count(outliers.length - LISTED)} more`);
  }
  const left = [
    ...(unmatched > 0 ? [`${count(unmatched)} do not match`] : []),
    ...(outliers.length > 0 ? [several(outliers.length, "outlier")] : []),
  ];
  const rest = left.length === 0 ? "" : `, ${left.join(", ")}`;
  const past = verdict === "approve" ? "approved" : "denied";
  say(
    shell,
    `${several(all.length, "model waits", "models wait")}: ${count(chosen.length)} would be ${past}${rest}`,
  );
}

/** On a terminal it is asked; elsewhere only --yes agrees, and what would be decided is all that is shown. */
async function agreed(
  shell: Shell,
  verdict: Verdict,
  { chosen }: Selection,
  flags: DecideFlags,
): Promise<boolean> {
  if (flags.yes === true) return true;
  if (flags.json === true) return false;
  if (shell.stdin.isTTY !== true || shell.stderr.isTTY !== true) {
    say(shell, `add --yes to ${verdict} ${chosen.length === 1 ? "it" : "them"}`);
    return false;
  }
  return confirm(shell, `${verdict} ${several(chosen.length, "model")}?`, "add --yes");
}

async function carryOut(
  shell: Shell,
  connections: Connections,
  bulk: {
    readonly fleet: string;
    readonly decision: BulkDecision;
    readonly selection: Selection;
    readonly flags: DecideFlags;
  },
): Promise<void> {
  const { fleet, decision, selection, flags } = bulk;
  const { chosen } = selection;
  if (!(await isPolled(await connections.temporal())))
    throw new ClientError("no worker runs, so nobody carries decisions out", "modelfleet worker");
  const stop = new AbortController();
  const interrupt = () => {
    if (stop.signal.aborted) process.exit(EXIT.failed);
    stop.abort();
    say(shell, "stopping after what is under way; Ctrl-C again ends at once");
  };
  // Not `once`: log-update ends the process when it finds no other listener left.
  process.on("SIGINT", interrupt);
  const progress = bulkProgress(shell, decision.verdict, chosen.length);
  const results: BulkResult[] = [];
  try {
    await decideInBulk(connections, chosen, {
      ...{ fleet, decision, signal: stop.signal },
      onResult: (result) => {
        results.push(result);
        progress.update(results);
      },
    });
  } finally {
    process.removeListener("SIGINT", interrupt);
    progress.end();
    if (flags.json) printJson(shell, decidedOf(fleet, decision, selection, results));
    else report(shell, decision, results, chosen.length);
  }
  const open = chosen.length - results.length;
  if (open > 0 || results.some(({ kind }) => kind === "failed")) shell.exit(EXIT.failed);
}

function report(
  shell: Shell,
  { verdict, by }: BulkDecision,
  results: readonly BulkResult[],
  wanted: number,
): void {
  const decided = results.filter(({ kind }) => kind === "decided").length;
  const already = results.filter(({ kind }) => kind === "already").length;
  const failed = results.flatMap((result) => (result.kind === "failed" ? [result] : []));
  const painted = verdict === "approve" ? shell.colors.green : shell.colors.yellow;
  const past = verdict === "approve" ? "approved" : "denied";
  printLines(shell, [`${painted(past)}  ${several(decided, "model")} by ${by}`]);
  if (already > 0) say(shell, `${count(already)} had been decided already`);
  for (const { because } of failed.slice(0, LISTED))
    say(shell, `${shell.progressColors.red("error:")} ${because}`);
  if (failed.length > LISTED) say(shell, `… and ${count(failed.length - LISTED)} more errors`);
  if (results.length < wanted)
    say(
      shell,
      `stopped: ${several(wanted - results.length, "model")} still wait; the same command goes on with them`,
    );
}

const nameOf = ({ customer, customerKey, version }: Candidate) => ({
  customer,
  customerKey,
  version,
});

const leftOutOf = ({ outliers }: Selection) =>
  outliers.map(({ candidate, because }) => ({ ...nameOf(candidate), because }));

function wouldDecide(fleet: string, verdict: Verdict, selection: Selection, flags: DecideFlags) {
  return {
    fleet,
    verdict,
    wouldDecide: selection.chosen.map(nameOf),
    ...(flags.sample === undefined ? {} : { sample: shownOf(selection, flags).map(nameOf) }),
    leftOut: leftOutOf(selection),
  };
}

function decidedOf(
  fleet: string,
  { verdict, by }: BulkDecision,
  selection: Selection,
  results: readonly BulkResult[],
) {
  const resultOf = new Map(results.map((result) => [result.candidate, result]));
  const inOrder = selection.chosen.flatMap((candidate) => resultOf.get(candidate) ?? []);
  return {
    fleet,
    verdict,
    decided: inOrder.map((result) => ({
      ...nameOf(result.candidate),
      decided: result.kind === "decided",
      ...(result.kind === "decided"
        ? { by }
        : { [result.kind === "already" ? "already" : "error"]: result.because }),
    })),
    stillWaiting: selection.chosen.length - results.length,
    leftOut: leftOutOf(selection),
  };
}
