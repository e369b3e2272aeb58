/** How the parts of a stack stand: read from records, the machine's processes and the ports. */
import { PART_NAMES, isPartName } from "./part.js";
import { stackFolder, type StackFolder, type StackPlace } from "./place.js";
import { isPortAnswering } from "./port-in-use.js";
import { listRecords, type ProcessRecord } from "./process-records.js";
import {
  isAlive,
  listProcesses,
  memoryBytes,
  processTree,
  type ProcessRow,
} from "./process-table.js";
import { requireStackFile } from "./stack-file.js";

export type ProcessState =
  | "running"
  /** Alive, has not served yet. */
  | "starting"
  /** Alive, but its port does not answer. */
  | "silent"
  /** It was started and has died. */
  | "died"
  /** It was never started, or ended by `down`. */
  | "stopped";

export interface ProcessStatus {
  readonly name: string;
  readonly state: ProcessState;
  readonly pid: number | null;
  readonly port: number | null;
  readonly version: string | null;
  /** Resident, of the process and all below it. */
  readonly memoryBytes: number | null;
  readonly uptimeSeconds: number | null;
  readonly log: string | null;
}

export interface StackStatus {
  readonly name: string;
  readonly state: string;
  /** What names it on the command line, such as ` --name demo`. */
  readonly flags: string;
  readonly basePort: number;
  readonly up: boolean;
  readonly processes: readonly ProcessStatus[];
}

export async function stackStatus(place: StackPlace): Promise<StackStatus> {
  const folder = stackFolder(place);
  const stack = requireStackFile(folder);
  const processes = await processStatuses(folder);
  return {
    name: folder.name,
    state: folder.root,
    flags: folder.flags,
    basePort: stack.basePort,
    up: processes.every((process) => process.state === "running"),
    processes,
  };
}

async function processStatuses(folder: StackFolder): Promise<ProcessStatus[]> {
  const records = new Map(listRecords(folder).map((record) => [record.name, record]));
  const others = [...records.keys()].filter((name) => !isPartName(name)).sort();
  const table = listProcesses();
  return Promise.all(
    [...PART_NAMES, ...others].map(async (name) => {
      const record = records.get(name);
      return record === undefined ? stopped(name) : statusOf(record, table);
    }),
  );
}

async function statusOf(
  record: ProcessRecord,
  table: readonly ProcessRow[],
): Promise<ProcessStatus> {
  const { name, port, version, log } = record;
  const base = { name, port, version, log };
  if (!isAlive(record)) {
    return { ...base, state: "died", pid: null, memoryBytes: null, uptimeSeconds: null };
  }
  const answers = port === null || (await isPortAnswering(port));
  const alive = record.state === "starting" ? "starting" : "running";
  return {
    ...base,
    state: answers ? alive : "silent",
    pid: record.pid,
    memoryBytes: memoryBytes(processTree(record.pid, table)),
    uptimeSeconds: Math.max(0, Math.round((Date.now() - Date.parse(record.since)) / 1000)),
  };
}

function stopped(name: string): ProcessStatus {
  const nothing = { pid: null, port: null, version: null, memoryBytes: null, uptimeSeconds: null };
  return { name, state: "stopped", ...nothing, log: null };
}
