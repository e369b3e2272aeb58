/** What befalls a job while its script runs, if somebody asked for it: a spot interruption, a lost instance. */
import type { Faults } from "./config.schema.js";
import type { FaultInjector } from "./faults.js";
import { hostLost, SpotInterruption } from "./job-failure.js";
import type { JobFailure } from "./job-failure.js";
import type { Host } from "./training-files.js";
import type { TrainingJob } from "./training-status.js";

/** Why the containers of a job end although nobody asked for its end. */
export interface Disruption {
  readonly because: JobFailure | SpotInterruption;
  /** The host whose machine is gone; an interruption takes them all, but lets them end. */
  readonly lost?: Host;
}

export interface DisruptionWatch {
  /** Never rejects, and need not resolve. */
  readonly disrupted: Promise<Disruption>;
  /** The host whose machine is gone. */
  lost(): Host | undefined;
  close(): void;
}

interface Watched {
  readonly faults: FaultInjector;
  readonly job: TrainingJob;
  readonly hosts: readonly Host[];
  /** Checkpoint files that this run has uploaded. */
  readonly uploaded: () => number;
}

/** Faults may be set while the script runs. */
const betweenLooksMs = 100;

export function watchForDisruption(watched: Watched): DisruptionWatch {
  const startedMs = performance.now();
  let lost: Host | undefined;
  let looking: NodeJS.Timeout | undefined;
  const disrupted = new Promise<Disruption>((resolve) => {
    looking = setInterval(() => {
      const seconds = (performance.now() - startedMs) / 1000;
      const disruption = nextDisruption(watched, { seconds, files: watched.uploaded() });
      if (disruption === undefined) return;
      clearInterval(looking);
      lost = disruption.lost;
      resolve(disruption);
    }, betweenLooksMs);
  });
  return { disrupted, lost: () => lost, close: () => clearInterval(looking) };
}

function nextDisruption(
  { faults, job, hosts }: Watched,
  soFar: { seconds: number; files: number },
): Disruption | undefined {
  const { TrainingJobName: name, EnableManagedSpotTraining: isSpot = false } = job;
  const { interrupt, loseInstance } = faults.current();
  // Only capacity that was lent can be taken back.
  if (isSpot && isDue(interrupt, name, soFar) && faults.use("interrupt", name))
    return { because: new SpotInterruption() };
  const lost = hosts.find((host) => host.name === loseInstance?.host) ?? hosts.at(-1);
  if (lost !== undefined && isDue(loseInstance, name, soFar) && faults.use("loseInstance", name))
    return { because: hostLost(lost.name), lost };
  return undefined;
}

function isDue(
  fault: Faults["interrupt"],
  jobName: string,
  { seconds, files }: { seconds: number; files: number },
): boolean {
  if (fault === undefined || !jobName.includes(fault.match)) return false;
  const { afterSeconds = 0, afterFiles = 0 } = fault;
  return seconds >= afterSeconds && files >= afterFiles;
}
