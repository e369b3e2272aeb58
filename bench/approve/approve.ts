/** `npm run bench -- approve`: many waiting releases decided with one command, also when the worker is killed. */
import type { Report, Table } from "../report.js";
import type { BenchStack, Tell } from "../stack.js";
import { formatNumber } from "../statistics.js";
import { measureBulk, type BulkRun } from "./bulk-run.js";

export interface ApproveOptions {
  /** Releases that wait, in each of the two runs. */
  readonly models: number;
}

export async function benchApprove(
  stack: BenchStack,
  { models }: ApproveOptions,
  tell: Tell,
): Promise<Pick<Report, "title" | "tables" | "notes">> {
  const undisturbed = await measureBulk(stack, { models, killWorker: false }, tell);
  const killed = await measureBulk(stack, { models, killWorker: true }, tell);
  return {
    title: "waiting releases decided in bulk",
    tables: [
      table([
        ["undisturbed", undisturbed],
        ["worker killed (SIGKILL) at a third", killed],
      ]),
    ],
    notes: NOTES,
  };
}

function table(runs: readonly (readonly [string, BulkRun])[]): Table {
  return {
    title: "`modelfleet approve FLEET --where 'rmse < 40' --yes`",
    headers: [
      "",
      "releases",
      "command, s",
      "decisions a second",
      "all on record, s",
      "all serving, s",
      "lost",
      "decided twice",
    ],
    rows: runs.map(([title, run]) => [
      title,
      formatNumber(run.models, 0),
      formatNumber(run.commandSeconds, 1),
      formatNumber(run.models / run.commandSeconds, 0),
      formatNumber(run.recordedSeconds, 1),
      formatNumber(run.servingSeconds, 1),
      formatNumber(run.lost, 0),
      formatNumber(run.twice, 0),
    ]),
  };
}

const NOTES = [
  "Each release is a workflow that waits, with a model package version in the registry, made by a cycle of jobs that do nothing. The command reads them from the ledger and sends each an update, 32 at a time; the release answers when its decision is in its history. Its time is that of the whole process, from its start to its exit.",
  "On record: the registry says Approved (one UpdateModelPackage each, behind the budget of calls, which begins at 10 a second and grows) and the ledger knows who decided. Serving: published, verified through the endpoint and pointed to.",
  "Killed: once a third of the decisions are on record the worker gets SIGKILL, and 2 s later another is started; the command is left alone. Temporal gives the tasks of the dead worker to the new one when their time is over, which is most of what the run takes longer.",
  "Lost: releases that are not Approved in the registry, or not serving. Decided twice: releases with more than one accepted update in their history.",
];
