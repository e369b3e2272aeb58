/** Samples the resident memory of a running process, to tell whether it grows with the work. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { formatMegabytes } from "./statistics.js";

const run = promisify(execFile);

export interface MemorySamples {
  /** Ends the sampling and returns resident bytes, oldest first. */
  stop(): Promise<readonly number[]>;
}

export function sampleMemory(pid: number, intervalMs = 1000): MemorySamples {
  const samples: number[] = [];
  let sampling: Promise<void> = Promise.resolve();
  const sample = async () => {
    const bytes = await residentBytes(pid);
    if (bytes !== undefined) samples.push(bytes);
  };
  const timer = setInterval(() => {
    sampling = sampling.then(sample);
  }, intervalMs);
  return {
    async stop() {
      clearInterval(timer);
      await sampling;
      await sample();
      return samples;
    },
  };
}

/** `ps` rather than /proc: macOS has it too. Undefined when the process has ended. */
async function residentBytes(pid: number): Promise<number | undefined> {
  const { stdout } = await run("ps", ["-o", "rss=", "-p", String(pid)]).catch(() => ({
    stdout: "",
  }));
  const kibibytes = Number(stdout.trim());
  return kibibytes > 0 ? kibibytes * 1024 : undefined;
}

/** Means of the samples' fifths, in order: a flat line stays flat, growth shows. */
export function overTime(samples: readonly number[]): string {
  const fifths = Array.from({ length: 5 }, (_, fifth) => {
    const part = samples.slice(
      Math.floor((samples.length * fifth) / 5),
      Math.max(Math.floor((samples.length * (fifth + 1)) / 5), 1),
    );
    return part.reduce((sum, bytes) => sum + bytes, 0) / part.length;
  });
  return fifths.filter(Number.isFinite).map(formatMegabytes).join(" → ");
}
