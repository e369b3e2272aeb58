/** Faults on demand: throttling, quotas, failing jobs and endpoints, delays. */
import type { Faults } from "./config.schema.js";
import { throttled } from "./errors.js";

export interface FaultInjector {
  current(): Faults;
  replace(faults: Faults): void;
  /** Throws ThrottlingException for the set share of calls. */
  throttle(operation: string): void;
  /** The reason for which this job is to fail; each answer uses up one of the `times`. */
  failureOf(jobName: string): string | undefined;
}

/** The runtime has limits of its own: it is throttled only by name. */
const spared = new Set(["InvokeEndpoint", "GetCallerIdentity", "AssumeRole"]);

export function createFaultInjector(initial: Faults): FaultInjector {
  let faults = initial;
  let random = seededRandom(initial.throttle?.seed ?? 1);
  return {
    current: () => faults,
    replace: (next) => {
      faults = next;
      random = seededRandom(next.throttle?.seed ?? 1);
    },
    throttle: (operation) => {
      const { throttle } = faults;
      if (throttle === undefined) return;
      const concerned = throttle.operations?.includes(operation) ?? !spared.has(operation);
      if (concerned && random() < throttle.rate) throw throttled();
    },
    failureOf: (jobName) => {
      const { failJob, ...others } = faults;
      if (failJob === undefined || !jobName.includes(failJob.match)) return undefined;
      const times = failJob.times - 1;
      faults = times > 0 ? { ...others, failJob: { ...failJob, times } } : others;
      return failJob.reason;
    },
  };
}

/** Mulberry32: the same seed throttles the same calls. */
function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
