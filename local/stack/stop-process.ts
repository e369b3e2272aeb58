/** Ends a recorded process and its children: gracefully first, then by force, and never a stranger. */
import { setTimeout as sleep } from "node:timers/promises";
import type { ProcessRecord } from "./process-records.js";
import {
  isAlive,
  listProcesses,
  processTree,
  type ProcessIdentity,
  type ProcessRow,
} from "./process-table.js";

export interface StopStep {
  readonly signal: NodeJS.Signals;
  readonly seconds: number;
}

export type StopResult = "was not running" | "ended" | "killed";

const pollMilliseconds = 25;

export async function stopProcess(
  record: ProcessRecord,
  steps: readonly StopStep[],
): Promise<StopResult> {
  const table = listProcesses();
  const members = ownProcesses(record, table);
  if (!isAlive(record)) {
    members.forEach((member) => signalProcess(member, "SIGKILL"));
    return "was not running";
  }
  const result = await endMain(record, steps);
  // Children that were to end with their parent and did not, such as a training script that ignores signals.
  members.forEach((member) => signalProcess(member, "SIGKILL"));
  return result;
}

async function endMain(
  identity: ProcessIdentity,
  steps: readonly StopStep[],
): Promise<"ended" | "killed"> {
  for (const step of steps) {
    signalProcess(identity, step.signal);
    if (await endsWithin(identity, step.seconds)) return "ended";
  }
  signalProcess(identity, "SIGKILL");
  await endsWithin(identity, 5);
  return "killed";
}

/** The process, all below it, and what is left of its process group when it has died alone. */
function ownProcesses(record: ProcessRecord, table: readonly ProcessRow[]): ProcessRow[] {
  const leader = table.find((row) => row.pid === record.pid);
  // A detached process leads the group of its own pid, and no new process gets a pid that a group still has:
  // a group without a leader is the recorded process' own, one with another leader is a stranger's.
  if (leader !== undefined && leader.startedAt !== record.startedAt) return [];
  const group = table.filter((row) => row.groupId === record.pid);
  const tree = processTree(record.pid, table);
  return [...new Map([...group, ...tree].map((row) => [row.pid, row])).values()];
}

export function signalProcess(identity: ProcessIdentity, signal: NodeJS.Signals): void {
  if (!isAlive(identity)) return;
  try {
    process.kill(identity.pid, signal);
  } catch (error) {
    const gone = error instanceof Error && "code" in error && error.code === "ESRCH";
    if (!gone) throw error;
  }
}

async function endsWithin(identity: ProcessIdentity, seconds: number): Promise<boolean> {
  const deadline = Date.now() + seconds * 1000;
  while (isAlive(identity)) {
    if (Date.now() > deadline) return false;
    await sleep(pollMilliseconds);
  }
  return true;
}
