/** What a container's process uses of the machine, as Linux tells it. */
import { readFile } from "node:fs/promises";

export interface ProcessUsage {
  /** Processor time since the process began. */
  readonly cpuSeconds: number;
  /** Its share of resident memory: pages that forks have in common are divided among them. */
  readonly memoryBytes: number;
}

/** proc(5): clock ticks a second are 100 on every Linux that Node runs on. */
const ticksPerSecond = 100;

/** Undefined for a process that has ended, and where there is no /proc. */
export async function processUsage(pid: number): Promise<ProcessUsage | undefined> {
  try {
    const [stat, memory] = await Promise.all([
      readFile(`/proc/${pid}/stat`, "utf8"),
      readFile(`/proc/${pid}/smaps_rollup`, "utf8"),
    ]);
    // The second field is the program's name in brackets, which may hold blanks.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const ticks = Number(fields[11]) + Number(fields[12]);
    const kilobytes = Number(/^Pss:\s+(\d+) kB$/m.exec(memory)?.[1] ?? 0);
    return { cpuSeconds: ticks / ticksPerSecond, memoryBytes: kilobytes * 1024 };
  } catch {
    return undefined;
  }
}
