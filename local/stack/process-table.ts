/** Reads the machine's processes: identity, parent, group, memory. Linux from /proc, macOS from ps. */
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";

/** A pid alone may be reused by a stranger; with its start time it names one process for ever. */
export interface ProcessIdentity {
  readonly pid: number;
  readonly startedAt: string;
}

export interface ProcessRow extends ProcessIdentity {
  readonly parentPid: number;
  readonly groupId: number;
}

const onLinux = process.platform === "linux";

/** The process with this pid, or undefined when there is none (a zombie has ended). */
export function findProcess(pid: number): ProcessRow | undefined {
  if (onLinux) return linuxRow(pid);
  return psRows(["-p", String(pid)]).find((row) => row.pid === pid);
}

export function isAlive(identity: ProcessIdentity): boolean {
  return findProcess(identity.pid)?.startedAt === identity.startedAt;
}

export function listProcesses(): ProcessRow[] {
  if (!onLinux) return psRows(["-A"]);
  return readdirSync("/proc")
    .filter((entry) => /^\d+$/.test(entry))
    .map((entry) => linuxRow(Number(entry)))
    .filter((row) => row !== undefined);
}

/** The process and everything below it, parents first. */
export function processTree(pid: number, table: readonly ProcessRow[]): ProcessRow[] {
  const found = table.filter((row) => row.pid === pid);
  for (const parent of found) {
    found.push(...table.filter((row) => row.parentPid === parent.pid && row.pid !== parent.pid));
  }
  return found;
}

/** Resident memory of a process tree; what its processes share is counted once. */
export function memoryBytes(tree: readonly ProcessRow[]): number {
  if (!onLinux) return psMemory(tree);
  const parts = tree.map((row) => linuxMemory(row.pid));
  const shared = Math.max(0, ...parts.map((part) => part.shared));
  return shared + parts.reduce((sum, part) => sum + part.own, 0);
}

function linuxRow(pid: number): ProcessRow | undefined {
  const stat = readOrUndefined(`/proc/${pid}/stat`);
  if (stat === undefined) return undefined;
  // The second field is the command in brackets and may itself hold spaces and brackets.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const [state, parentPid, groupId] = fields;
  if (state === "Z" || state === "X") return undefined;
  // Field 22 counts clock ticks since boot, so the boot belongs to the identity.
  return {
    pid,
    parentPid: Number(parentPid),
    groupId: Number(groupId),
    startedAt: `${bootId()}/${fields[19] ?? ""}`,
  };
}

let knownBootId: string | undefined;
function bootId(): string {
  knownBootId ??= (readOrUndefined("/proc/sys/kernel/random/boot_id") ?? "unknown").trim();
  return knownBootId;
}

function linuxMemory(pid: number): { own: number; shared: number } {
  const status = readOrUndefined(`/proc/${pid}/status`) ?? "";
  const kibibytes = (field: string) =>
    Number(new RegExp(`^${field}:\\s+(\\d+) kB`, "m").exec(status)?.[1] ?? 0);
  return {
    own: kibibytes("RssAnon") * 1024,
    shared: (kibibytes("RssFile") + kibibytes("RssShmem")) * 1024,
  };
}

function psRows(selection: readonly string[]): ProcessRow[] {
  const columns = ["-o", "pid=", "-o", "ppid=", "-o", "pgid=", "-o", "stat=", "-o", "lstart="];
  return runPs([...selection, ...columns]).flatMap((line) => {
    const [pid, parentPid, groupId, state, ...startedAt] = line.trim().split(/\s+/);
    if (pid === undefined || state === undefined || state.startsWith("Z")) return [];
    return [
      {
        pid: Number(pid),
        parentPid: Number(parentPid),
        groupId: Number(groupId),
        startedAt: startedAt.join(" "),
      },
    ];
  });
}

function psMemory(tree: readonly ProcessRow[]): number {
  if (tree.length === 0) return 0;
  const lines = runPs(["-o", "rss=", "-p", tree.map((row) => row.pid).join(",")]);
  return lines.reduce((sum, line) => sum + Number(line.trim()) * 1024, 0);
}

function runPs(args: readonly string[]): string[] {
  try {
    return execFileSync("ps", args, { encoding: "utf8", env: { LC_ALL: "C" } })
      .split("\n")
      .filter((line) => line.trim() !== "");
  } catch {
    return []; // ps exits with 1 when no process matches.
  }
}

function readOrUndefined(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined; // The process ended between two reads.
  }
}
