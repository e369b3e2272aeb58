/** `npm run bench -- publish`: a cohort approved at once and published, beside a loop that only copies. */
import { overTime } from "../memory-samples.js";
import type { Report, Table } from "../report.js";
import type { BenchStack, Tell } from "../stack.js";
import { formatMegabytes, formatNumber } from "../statistics.js";
import { measurePublish, type PublishRun } from "./publish-run.js";

export interface PublishOptions {
  /** Members of the cohorts. */
  readonly members: readonly number[];
}

export async function benchPublish(
  stack: BenchStack,
  { members }: PublishOptions,
  tell: Tell,
): Promise<Pick<Report, "title" | "tables" | "notes">> {
  const runs: PublishRun[] = [];
  for (const size of members) runs.push(await measurePublish(stack, size, tell));
  return {
    title: "a cohort published",
    tables: [wallTime(runs), costs(runs)],
    notes: NOTES,
  };
}

const wallTime = (runs: readonly PublishRun[]): Table => ({
  title: "`modelfleet approve FLEET --cohort CYCLE --yes`, until every customer has its pointer",
  headers: [
    "artifacts",
    "registered, s",
    "approved to serving, s",
    "artifacts a second",
    "boto3 loop, copies only, s",
    "boto3, 32 threads, copies only, s",
    "ours to the loop",
  ],
  rows: runs.map((run) => [
    formatNumber(run.members, 0),
    formatNumber(run.registerSeconds, 2),
    formatNumber(run.servingSeconds, 1),
    formatNumber(run.members / run.servingSeconds, 0),
    formatNumber(run.loopSeconds, 1),
    formatNumber(run.threadsSeconds, 1),
    `${formatNumber(run.servingSeconds / run.loopSeconds, 2)}×`,
  ]),
});

const costs = (runs: readonly PublishRun[]): Table => ({
  title: "what it took",
  headers: [
    "artifacts",
    "copies",
    "pointers",
    "other S3 calls",
    "invocations",
    "SageMaker calls",
    "worker's memory over time",
    "at most",
  ],
  rows: runs.map(({ members, calls, residentBytes }) => {
    const sum = (isOne: (operation: string) => boolean): number =>
      Object.entries(calls).reduce((all, [name, count]) => all + (isOne(name) ? count : 0), 0);
    const copies = calls["S3.CopyObject"] ?? 0;
    const pointers = calls["S3.PutObject"] ?? 0;
    return [
      formatNumber(members, 0),
      formatNumber(copies, 0),
      formatNumber(pointers, 0),
      formatNumber(sum((name) => name.startsWith("S3.")) - copies - pointers, 0),
      formatNumber(calls["SageMakerRuntime.InvokeEndpoint"] ?? 0, 0),
      formatNumber(
        sum((name) => name.startsWith("SageMaker.")),
        0,
      ),
      overTime(residentBytes),
      formatMegabytes(Math.max(...residentBytes)),
    ];
  }),
});

const NOTES = [
  "Ours: the command's start, the decision in the registry and in the ledger for every member, a copy within S3 and a pointer for each customer, the endpoint made, a sample of 100 invoked cold and compared with training. The loop: a copy within S3 for each, one after the other, and nothing else; what a notebook does before it calls the endpoint. With 32 threads: the same copies, as many at a time as ours.",
  "Artifacts are archives of about 150 bytes: what is measured is requests, not bytes, which stay within S3. Server, worker and S3 share the machine's cores.",
  "Registered: one model package, a report with the figures of every member, and their rows in one transaction; before the clock.",
];
