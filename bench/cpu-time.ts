/** CPU time of processes with all their descendants: tells which part of a stack the work was done in. */
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";

export interface RootProcess {
  readonly name: string;
  readonly pid: number;
}

export type CpuSeconds = Readonly<Record<string, number>>;

/** USER_HZ, which Linux fixes for all programs whatever the kernel's own rate. */
const TICKS_PER_SECOND = 100;

interface ProcessLine {
  readonly pid: number;
  readonly parent: number;
  readonly seconds: number;
}

/** Of processes alive now: outside of Linux, descendants that come and go between two calls are missed. */
export function cpuSeconds(roots: readonly RootProcess[]): CpuSeconds {
  const processes = process.platform === "linux" ? readProc() : askPs();
  return Object.fromEntries(roots.map(({ name, pid }) => [name, treeSeconds(processes, pid)]));
}

export function cpuBetween(before: CpuSeconds, after: CpuSeconds): CpuSeconds {
  return Object.fromEntries(
    Object.entries(after).map(([name, seconds]) => [name, seconds - (before[name] ?? 0)]),
  );
}

function treeSeconds(processes: readonly ProcessLine[], root: number): number {
  const own = processes.find(({ pid }) => pid === root)?.seconds ?? 0;
  return processes
    .filter(({ parent }) => parent === root)
    .reduce((sum, { pid }) => sum + treeSeconds(processes, pid), own);
}

/** Linux' `ps` tells whole seconds, which hides a server of many short-lived processes such as Postgres. */
function readProc(): ProcessLine[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        return [parseStat(readFileSync(`/proc/${name}/stat`, "utf8"))];
      } catch {
        return []; // It ended meanwhile.
      }
    });
}

/** https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html; the name may hold blanks and parentheses. */
export function parseStat(stat: string): ProcessLine {
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  // utime, stime, and those of children that were waited for.
  const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
  return {
    pid: Number.parseInt(stat, 10),
    parent: Number(fields[1]),
    seconds: ticks / TICKS_PER_SECOND,
  };
}

function askPs(): ProcessLine[] {
  const text = execFileSync("ps", ["-A", "-o", "pid=,ppid=,time="], { encoding: "utf8" });
  return text.trim().split("\n").map(parseLine);
}

function parseLine(line: string): ProcessLine {
  const [pid, parent, time = ""] = line.trim().split(/\s+/);
  return { pid: Number(pid), parent: Number(parent), seconds: parseTime(time) };
}

/** `[[days-]hours:]minutes:seconds[.hundredths]`; macOS tells the hundredths. */
export function parseTime(time: string): number {
  const [clock = "", days = "0"] = time.split("-").reverse();
  const seconds = clock.split(":").reduce((sum, part) => sum * 60 + Number(part), 0);
  return Number(days) * 86_400 + seconds;
}
