/** Faults on demand: throttling, quotas, failing and interrupted jobs, failing endpoints, delays. */
import type { Faults } from "./config.schema.js";
import { throttled } from "./errors.js";

/** The faults that befall so many jobs by name, and are then over. */
type FaultOfJobs = "failJob" | "interrupt" | "loseInstance";

export interface FaultInjector {
  current(): Faults;
  replace(faults: Faults): void;
  /** Throws ThrottlingException for the set share of calls. */
  throttle(operation: string): void;
  /** The reason for which this job is to fail; each answer uses up one of the `times`. */
  failureOf(jobName: string): string | undefined;
  /** Uses up one of the `times` of a fault; false when it does not concern this job, or no longer. */
  use(fault: FaultOfJobs, jobName: string): boolean;
}

/** Other services have limits of their own: they are throttled only by name. */
const spared = new Set([
  ...["InvokeEndpoint", "GetCallerIdentity", "AssumeRole"],
  ...["GetMetricData", "GetMetricStatistics", "ListMetrics"],
]);

export function createFaultInjector(initial: Faults): FaultInjector {
  let faults = initial;
  let random = seededRandom(initial.throttle?.seed ?? 1);
  const use: FaultInjector["use"] = (name, jobName) => {
    const { [name]: fault, ...others } = faults;
    if (fault === undefined || !jobName.includes(fault.match)) return false;
    const times = fault.times - 1;
    faults = times > 0 ? { ...others, [name]: { ...fault, times } } : others;
    return true;
  };
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
      const reason = faults.failJob?.reason;
      return use("failJob", jobName) ? reason : undefined;
    },
    use,
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
