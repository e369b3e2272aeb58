/** The jobs that a cycle runs once for all customers, before any is trained: what they take and cost. */
import { ASSUMED_SECONDS_PER_JOB, cents } from "./cost.js";
import type { FleetSpec } from "./spec.schema.js";

export interface CycleJobs {
  /** `preprocessor`: the training job that fits it; none when it has been fitted as it stands. */
  readonly kind: "processing" | "preprocessor" | "transform";
  readonly jobs: number;
  readonly instanceType: string;
  /** Of each job. */
  readonly instances: number;
  readonly instanceHours: number;
  /** US dollars; null when the instance type's price is not known. */
  readonly usd: number | null;
}

/** Rows to train on, to validate with and to test with: a batch transform each. */
const TRANSFORMS = 3;

export interface CycleJobsInput {
  readonly spec: Pick<FleetSpec, "preparation" | "training">;
  /** Customers to be trained. */
  readonly customers: number;
  /** Of an instance type; undefined when it is not known. */
  readonly usdPerHour: (instanceType: string) => number | undefined;
}

/** In the order in which they run. Every instance is billed ASSUMED_SECONDS_PER_JOB, as of a training job. */
export function cycleJobs({ spec, customers, usdPerHour }: CycleJobsInput): CycleJobs[] {
  const { preparation, training } = spec;
  const priced = (
    job: Pick<CycleJobs, "kind" | "jobs" | "instanceType" | "instances">,
  ): CycleJobs => {
    const seconds = job.jobs * job.instances * ASSUMED_SECONDS_PER_JOB;
    const price = usdPerHour(job.instanceType);
    return {
      ...job,
      instanceHours: Math.round(seconds / 36) / 100,
      usd: price === undefined ? null : cents((price / 3600) * seconds),
    };
  };
  const planned: CycleJobs[] = [];
  if (preparation !== undefined) {
    const { instanceType, instances } = preparation;
    planned.push(priced({ kind: "processing", jobs: 1, instanceType, instances }));
  }
  if (training.kind === "pipeline" && customers > 0) {
    const { instanceType, transform } = training.preprocessor;
    planned.push(
      priced({ kind: "preprocessor", jobs: 1, instanceType, instances: 1 }),
      priced({
        ...{ kind: "transform", jobs: TRANSFORMS },
        ...{ instanceType: transform.instanceType, instances: transform.instances },
      }),
    );
  }
  return planned;
}

/**
 * List price of a serverless endpoint in us-east-1, US dollars for each GB of its memory and second that it computes,
 * from https://aws.amazon.com/sagemaker/pricing/ as of 2025.
 */
const USD_PER_GB_SECOND = 0.00002;

/** What a call computes, as long as nobody has measured it. */
export const ASSUMED_SECONDS_PER_CALL = 0.1;

export interface ServerlessCost {
  readonly usdPerSecond: number;
  readonly usdPerThousandCalls: number;
}

/** Billed by the call, and not while nobody calls; the same for every region here. */
export function serverlessCost({
  memorySizeInMb,
}: {
  readonly memorySizeInMb: number;
}): ServerlessCost {
  const usdPerSecond = (memorySizeInMb / 1024) * USD_PER_GB_SECOND;
  const usdPerThousandCalls = 1000 * ASSUMED_SECONDS_PER_CALL * usdPerSecond;
  return { usdPerSecond: exact(usdPerSecond), usdPerThousandCalls: exact(usdPerThousandCalls) };
}

/** Without the last bits' noise: 0.00012, not 0.00012000000000000002. */
const exact = (usd: number): number => Number(usd.toPrecision(6));
