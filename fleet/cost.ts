/** What a cycle and its endpoint will cost on AWS, estimated from list prices. */

/**
 * On-demand list prices in us-east-1, US dollars an hour, from https://aws.amazon.com/sagemaker/pricing/ as of
 * 2025; training and real-time inference cost the same for these. An estimate, not a bill: regions, savings
 * plans and price changes differ.
 */
const USD_PER_HOUR: Readonly<Record<string, number>> = {
  "ml.t2.medium": 0.056,
  "ml.t2.large": 0.111,
  "ml.m5.large": 0.115,
  "ml.m5.xlarge": 0.23,
  "ml.m5.2xlarge": 0.461,
  "ml.m5.4xlarge": 0.922,
  "ml.m5.12xlarge": 2.765,
  "ml.m5.24xlarge": 5.53,
  "ml.c5.xlarge": 0.204,
  "ml.c5.2xlarge": 0.408,
  "ml.c5.4xlarge": 0.816,
  "ml.c5.9xlarge": 1.836,
  "ml.c5.18xlarge": 3.672,
  "ml.g4dn.xlarge": 0.7364,
  "ml.g4dn.2xlarge": 0.94,
};

/** Instances are billed from the download of data to the upload of the model; most small jobs stay below. */
export const ASSUMED_SECONDS_PER_JOB = 120;

const HOURS_PER_MONTH = 730;

export interface CostInput {
  readonly trainingJobs: number;
  readonly trainingInstanceType: string;
  /** Mean billable seconds of the fleet's earlier jobs; ASSUMED_SECONDS_PER_JOB when there are none. */
  readonly secondsPerJob?: number;
  /** None when the endpoint is serverless. */
  readonly endpointInstanceType?: string;
  readonly endpointInstances?: number;
}

export interface CostEstimate {
  /** US dollars for the cycle's training jobs; null when the instance type's price is not known here. */
  readonly trainingUsd: number | null;
  /**
   * US dollars a month for the endpoint, which bills whether it is called or not; null likewise, and for a serverless
   * one, which is billed by the request.
   */
  readonly endpointUsdPerMonth: number | null;
  readonly secondsPerJob: number;
}

export function estimateCost(input: CostInput): CostEstimate {
  const secondsPerJob = input.secondsPerJob ?? ASSUMED_SECONDS_PER_JOB;
  const trainingPrice = USD_PER_HOUR[input.trainingInstanceType];
  const { endpointInstanceType = "", endpointInstances = 0 } = input;
  const endpointPrice = USD_PER_HOUR[endpointInstanceType];
  return {
    trainingUsd:
      trainingPrice === undefined
        ? null
        : cents((trainingPrice / 3600) * secondsPerJob * input.trainingJobs),
    endpointUsdPerMonth:
      endpointPrice === undefined
        ? null
        : cents(endpointPrice * HOURS_PER_MONTH * endpointInstances),
    secondsPerJob,
  };
}

/** To the cent, and below that as it is: a small cost is not none. */
const cents = (usd: number): number => (usd < 0.01 ? usd : Math.round(usd * 100) / 100);

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

export interface WaysInput {
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
  const price = USD_PER_HOUR[instanceType];
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
