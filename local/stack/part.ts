/** What every part of the stack has in common: a name, its ports, how it starts and how it is ended. */
import type { Launched } from "./launch.js";
import type { StopStep } from "./stop-process.js";

export const PART_NAMES = ["postgres", "temporal", "s3", "sagemaker"] as const;
export type PartName = (typeof PART_NAMES)[number];

export interface Part {
  readonly name: PartName;
  /** For people. */
  readonly title: string;
  /** All must be free before it starts; clients talk to the first. */
  readonly ports: readonly [number, ...number[]];
  /** Starts it and waits until it serves. `onLaunched` is told at once, so a failed start can be ended. */
  readonly start: (onLaunched: (launched: Launched) => void) => Promise<void>;
}

/** How each part is asked to end; what is left after the last step is killed. */
export const STOP_STEPS: Readonly<Record<PartName, readonly StopStep[]>> = {
  // SIGINT is Postgres' fast shutdown (sessions are ended, data written), SIGQUIT its immediate one.
  postgres: [
    { signal: "SIGINT", seconds: 10 },
    { signal: "SIGQUIT", seconds: 5 },
  ],
  temporal: [{ signal: "SIGTERM", seconds: 8 }],
  // The volumes are written and closed within a second. Then the filer waits 15 s for a subscription to itself
  // that never ends (measured); its store writes through to the system, so nothing is lost by not waiting.
  s3: [{ signal: "SIGTERM", seconds: 2.5 }],
  sagemaker: [{ signal: "SIGTERM", seconds: 10 }],
};

/** Of processes such as a worker: Temporal's own grace for running activities stands in the worker's settings. */
export const PROCESS_STOP_STEPS: readonly StopStep[] = [{ signal: "SIGTERM", seconds: 30 }];

export function isPartName(name: string): name is PartName {
  return PART_NAMES.some((known) => known === name);
}

export function stopSteps(name: string): readonly StopStep[] {
  return isPartName(name) ? STOP_STEPS[name] : PROCESS_STOP_STEPS;
}

/** What a server process sees of our environment: where programs and scratch space are, and no settings. */
export function serverEnvironment(): Record<string, string> {
  const environment: Record<string, string> = { LC_ALL: "C", TZ: "UTC" };
  for (const name of ["PATH", "HOME", "TMPDIR", "USER"]) {
    const value = process.env[name];
    if (value !== undefined) environment[name] = value;
  }
  return environment;
}
