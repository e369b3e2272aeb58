/** What a cycle's training will cost on AWS, estimated from prices by the hour. */
import { LIST_REGION, priceOf, type Prices } from "./prices.js";

/** Which prices count: the region's, and the fleet file's own. */
export interface PricedAt {
  /** us-east-1 unless told. */
  readonly region?: string;
  readonly prices?: Prices | undefined;
}

/** Undefined when the price is not known here. */
export const usdPerHour = (
  instanceType: string,
  { region = LIST_REGION, prices }: PricedAt,
): number | undefined => priceOf(instanceType, { region, prices })?.usdPerHour;

/** Instances are billed from the download of data to the upload of the model; most small jobs stay below. */
export const ASSUMED_SECONDS_PER_JOB = 120;

export interface CostInput extends PricedAt {
  readonly trainingJobs: number;
  readonly trainingInstanceType: string;
  /** Mean billable seconds of the fleet's earlier jobs; ASSUMED_SECONDS_PER_JOB when there are none. */
  readonly secondsPerJob?: number;
}

export interface CostEstimate {
  /** US dollars for the cycle's training jobs; null when the instance type's price is not known here. */
  readonly trainingUsd: number | null;
  readonly secondsPerJob: number;
}

export function estimateCost(input: CostInput): CostEstimate {
  const secondsPerJob = input.secondsPerJob ?? ASSUMED_SECONDS_PER_JOB;
  const trainingPrice = usdPerHour(input.trainingInstanceType, input);
  return {
    trainingUsd:
      trainingPrice === undefined
        ? null
        : cents((trainingPrice / 3600) * secondsPerJob * input.trainingJobs),
    secondsPerJob,
  };
}

/** To the cent, and below that as it is: a small cost is not none. */
export const cents = (usd: number): number => (usd < 0.01 ? usd : Math.round(usd * 100) / 100);

/** Cores by the size in an instance type's name; of metal and unknown ones the number is not told by it. */
const CORES: Readonly<Record<string, number>> = { medium: 2, large: 2, xlarge: 4 };

/** Cores of an instance type; 2 when its name does not tell. Sizes: https://aws.amazon.com/sagemaker/pricing/ */
export function coresOf(instanceType: string): number {
  const size = instanceType.split(".").at(-1) ?? "";
  const times = /^(\d+)xlarge$/.exec(size)?.[1];
  return times === undefined ? (CORES[size] ?? 2) : 4 * Number(times);
}

/** What a fit in one process takes, as long as none of the fleet has been measured. */
export const ASSUMED_SECONDS_PER_FIT = 1;

export interface WaysInput extends PricedAt {
  /** Customers to be trained. */
  readonly customers: number;
  /** Trials of all their searches; without tuning, one fit each. */
  readonly fits: number;
  readonly instanceType: string;
  readonly instances: number;
  /** Training jobs at a time, if each customer had its own. */
  readonly atATime: number;
  /** Of one fit in one process; ASSUMED_SECONDS_PER_FIT when none has been measured. */
  readonly secondsPerFit?: number;
}

/** One way to make a cohort's models. */
export interface Way {
  readonly way: "packed" | "a job each";
  /** SageMaker's training jobs. */
  readonly trainingJobs: number;
  /** Tuning jobs that they belong to. */
  readonly tuningJobs: number;
  /** Hours that instances are billed for, and of them those in which they start, load and stop. */
  readonly instanceHours: number;
  readonly startUpHours: number;
  readonly wallHours: number;
  readonly usd: number | null;
}

/**
 * The same fits in one sharded job, and in a tuning or training job for each customer. A job is billed
 * ASSUMED_SECONDS_PER_JOB for each instance beside its fits; a job of its own fits on one core at a time.
 */
export function compareWays(input: WaysInput): { readonly packed: Way; readonly each: Way } {
  const { fits, customers, instanceType, instances, atATime } = input;
  const seconds = input.secondsPerFit ?? ASSUMED_SECONDS_PER_FIT;
  const price = usdPerHour(instanceType, input);
  const searches = fits > customers;
  const way = (
    o: Pick<Way, "way" | "trainingJobs" | "tuningJobs">,
    starts: number,
    busy: number,
    wide: number,
  ): Way => {
    const startUpSeconds = starts * ASSUMED_SECONDS_PER_JOB;
    const instanceSeconds = startUpSeconds + busy;
    return {
      ...o,
      instanceHours: hours(instanceSeconds),
      startUpHours: hours(startUpSeconds),
      wallHours: hours(instanceSeconds / Math.max(1, wide)),
      usd: price === undefined ? null : cents((price / 3600) * instanceSeconds),
    };
  };
  return {
    packed: way(
      { way: "packed", trainingJobs: 1, tuningJobs: 0 },
      instances,
      (fits * seconds) / coresOf(instanceType),
      instances,
    ),
    each: way(
      { way: "a job each", trainingJobs: fits, tuningJobs: searches ? customers : 0 },
      fits,
      fits * seconds,
      Math.min(atATime, fits),
    ),
  };
}

const hours = (seconds: number): number => Math.round(seconds / 36) / 100;

/** What of a spec decides what its training costs. */
interface TrainedBy {
  readonly prices?: Prices | undefined;
  readonly training: {
    readonly kind: string;
    readonly instanceType: string;
    readonly instances?: number;
  };
}

export interface TrainingEstimate {
  /** Null when the price is not known. */
  readonly usd: number | null;
  readonly trainingJobs: number;
}

/** Of the training alone, as `modelfleet plan` tells it: a sharded fleet's one job, or a job for each fit. */
export function estimateTraining(
  { prices, training }: TrainedBy,
  o: {
    readonly customers: number;
    readonly fits: number;
    readonly region: string;
    readonly secondsPerJob?: number;
    readonly secondsPerFit?: number;
  },
): TrainingEstimate {
  const { instanceType, instances = 1 } = training;
  if (o.customers === 0) return { usd: 0, trainingJobs: 0 };
  if (training.kind === "sharded") {
    const ways = compareWays({ ...o, prices, instanceType, instances, atATime: 1 });
    return { usd: ways.packed.usd, trainingJobs: 1 };
  }
  const { trainingUsd } = estimateCost({
    ...o,
    prices,
    trainingJobs: o.fits,
    trainingInstanceType: instanceType,
  });
  return { usd: trainingUsd, trainingJobs: o.fits };
}
