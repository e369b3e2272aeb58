/** Turns what a variant's containers use into the utilization metrics that AWS has for them. */
import type { ContainerUsage } from "./hosted-container.js";
import type { VariantMeter } from "./variant-metrics.js";

/** Below this two readings of processor time say nothing: it is counted in hundredths of a second. */
const shortestMs = 500;

export function createUsageGauges(meter: VariantMeter) {
  let last: { readonly atMs: number; readonly cpuSeconds: number } | undefined;

  /** Added up over the containers, as AWS adds up cores. */
  const showProcessor = (seconds: readonly number[]): void => {
    if (seconds.length === 0) return void (last = undefined);
    const now = { atMs: performance.now(), cpuSeconds: sum(seconds) };
    const elapsedMs = last === undefined ? 0 : now.atMs - last.atMs;
    if (last !== undefined && elapsedMs < shortestMs) return;
    if (last !== undefined) {
      // A container that went away took its time with it.
      const spent = Math.max(0, now.cpuSeconds - last.cpuSeconds);
      meter.gauge("CPUUtilization", (spent * 1000 * 100) / elapsedMs);
    }
    last = now;
  };
  return {
    /** The fullest container tells of memory and disk. */
    show(usages: readonly ContainerUsage[]): void {
      const told = (name: keyof ContainerUsage): number[] =>
        usages.map((usage) => usage[name]).filter((value) => value !== null);
      showProcessor(told("cpuSeconds"));
      const [memory, disk, loaded] = [told("memoryShare"), told("diskShare"), told("loadedModels")];
      if (memory.length > 0) meter.gauge("MemoryUtilization", 100 * Math.max(...memory));
      if (disk.length > 0) meter.gauge("DiskUtilization", 100 * Math.max(...disk));
      if (loaded.length > 0) meter.gauge("LoadedModelCount", sum(loaded));
    },
  };
}

const sum = (values: readonly number[]): number =>
  values.reduce((total, value) => total + value, 0);
