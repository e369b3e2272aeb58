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
  readonly endpointInstanceType: string;
  readonly endpointInstances: number;
}

export interface CostEstimate {
  /** US dollars for the cycle's training jobs; null when the instance type's price is not known here. */
  readonly trainingUsd: number | null;
  /** US dollars a month for the endpoint, which bills whether it is called or not; null likewise. */
  readonly endpointUsdPerMonth: number | null;
  readonly secondsPerJob: number;
}

export function estimateCost(input: CostInput): CostEstimate {
  const secondsPerJob = input.secondsPerJob ?? ASSUMED_SECONDS_PER_JOB;
  const trainingPrice = USD_PER_HOUR[input.trainingInstanceType];
  const endpointPrice = USD_PER_HOUR[input.endpointInstanceType];
  return {
    trainingUsd:
      trainingPrice === undefined
        ? null
        : cents((trainingPrice / 3600) * secondsPerJob * input.trainingJobs),
    endpointUsdPerMonth:
      endpointPrice === undefined
        ? null
        : cents(endpointPrice * HOURS_PER_MONTH * input.endpointInstances),
    secondsPerJob,
  };
}

/** To the cent, and below that as it is: a small cost is not none. */
const cents = (usd: number): number => (usd < 0.01 ? usd : Math.round(usd * 100) / 100);
