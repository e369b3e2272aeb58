/** Every limit in one place, with its unit and where it comes from. */
export const LIMITS = {
  /** AWS API model, TrainingJobName, EndpointName, ModelPackageGroupName …: 63 characters. */
  jobNameLength: 63,
  /** AWS API model, HyperParameterTuningJobName: the tightest of the job names. */
  tuningJobNameLength: 32,
  /** Ours: a fleet's name stands in every AWS name beside a customer, a cycle and a hash. */
  fleetNameLength: 24,
  /** Ours: a customer key is a folder in S3, a part of AWS names and a workflow id. */
  customerKeyLength: 40,
  /** Ours: what the warehouse may call a customer; longer ids are refused with the customer named. */
  customerIdLength: 1024,
  /** AWS API model, HyperParameters: number of entries. */
  hyperParameters: 100,
  /** AWS API model, HyperParameterValue. */
  hyperParameterValueLength: 2500,
  /** AWS API model, StoppingCondition: 28 days. Unset means one day, so we always set it. */
  trainingJobMaxRuntimeSeconds: 28 * 24 * 60 * 60,
  /** Guide, train-warm-pools: one hour; the API model lets 6 hours pass. */
  keepAliveSeconds: 3600,
  /** AWS API model, ProcessingStoppingCondition: 9 days. */
  processingJobMaxRuntimeSeconds: 777_600,
  /** AWS API model, ServerlessMaxConcurrency. */
  serverlessConcurrency: 200,
  /** Guide, serverless-endpoints: of an account and region, all its serverless endpoints together. */
  serverlessAccountConcurrency: 1000,
  /** Guide, serverless-endpoints: of an account and region. */
  serverlessEndpoints: 50,
  /** AWS API model, MetricDefinitions. */
  metricDefinitions: 40,
  /**
   * SageMaker quota, metrics of one tuning job: half of what the API model lets a definition have.
   * docs.aws.amazon.com/sagemaker/latest/dg/automatic-model-tuning-limits.html
   */
  tuningMetrics: 20,
  /** Ours: what tuningMetrics leaves. Columns that a gate may look at value by value. */
  gateSegments: 3,
  /** AWS API model, MaxResults of every List operation we use. */
  listPageSize: 100,
  /** Ours: children of one shard. A child costs its parent 4 to 9 history events; Temporal warns at 10,240. */
  customersPerShard: 250,
  /** Ours: shards of one cycle that run at a time; each gets its share of the fleet's concurrency. */
  shardsAtATime: 4,
  /** Ours: how many customers one cycle may hold. 400 shards at 9 events each stay far below Temporal's limits. */
  customersPerFleet: 100_000,
  /** Ours: publications that one pass of an endpoint workflow takes on. */
  publicationsPerBatch: 100,
  /** Ours: members of a cohort that one step publishes or withdraws; what else is asked of the endpoint goes between. */
  cohortPage: 500,
  /** Ours: members of a cohort, spread over it, that are invoked before it is served. */
  cohortSample: 100,
  /** Ours: versions that one step of a cohort's withdrawal tries for a customer; those after wait for the next. */
  waysBack: 5,
  /** Ours: customers that one approval of a cohort may leave out by name; for more, tighten the gate. */
  cohortExceptions: 1000,
  /** Ours: stages of one fleet. */
  stages: 10,
  /** Ours: what is approved today is hardly wanted in another stage a year later. */
  stageLagSeconds: 365 * 24 * 60 * 60,
  /** Ours: a stage that lets the worker in again sooner is not worth a message. */
  stageClosedSeconds: 60 * 60,
  /** Ours: endpoint configs of one endpoint that a refresh leaves behind, the live one among them. */
  endpointConfigsKept: 3,
  /** Ours: pauses between refreshes that fail are doubled so often: from 2 minutes to 64. */
  refreshDoublings: 5,
  /** Ours: held-out rows whose served predictions must equal the offline ones. AWS keeps 40 metrics a job. */
  verificationRows: 3,
  /** Ours: bytes of what a sharded job tells of one customer, its trials included. */
  customerLineBytes: 1024 * 1024,
  /** Ours: characters of a failure's reason that the ledger keeps. */
  reasonLength: 4000,
  /** Ours: a customer's best earlier trials that a search inside of a sharded job begins with. */
  packedSeeds: 5,
  /** Ours: rounds of one training job, when SageMaker itself (not the algorithm) failed it. */
  trainingRounds: 3,
  /** Ours: jobs of one model that were found stopped, by a cancelled cycle that is run again, and passed over. */
  stoppedRounds: 20,
  /** Ours: starts of a child whose id is taken; with back-off from 0.1 to 30 s, about six minutes. */
  freeIdAttempts: 20,
  /** Ours: customers done between two signals of progress from a shard: 0.1 Temporal actions a customer. */
  progressStep: 10,
  /** Ours: signals of progress in one cycle; each costs 4 of the 10,240 events that Temporal warns at. */
  progressSignals: 500,
  /** Guide, automatic-model-tuning-limits: hyperparameters that one tuning job searches. */
  tuningRanges: 30,
  /** AWS API model, ParameterValues. */
  tuningCategoricalValues: 30,
  /** AWS API model, ParameterValue. */
  tuningValueLength: 256,
  /** Guide: training jobs of one tuning job, its warm-start parents' included. */
  tuningTrainingJobs: 750,
  /** Guide: the same for a random search. */
  randomTrainingJobs: 10_000,
  /** Guide: training jobs of one tuning job at a time; 10 until AWS raises the quota. */
  tuningParallel: 100,
  /** Guide: tuning jobs of one account at a time. */
  tuningJobsAtATime: 100,
  /** Guide: metrics of one tuning job, although its API takes as many as that of a training job. */
  tuningMetricDefinitions: 20,
  /** AWS API model, ParentHyperParameterTuningJobs. */
  warmStartParents: 5,
  /** Guide: static values changed, and hyperparameters made static, between a tuning job and its parent. */
  warmStartChanges: 10,
  /** Ours: earlier tuning jobs that are looked at for one warm start, of the customer and of siblings each. */
  warmStartCandidates: 20,
  /** Ours: a random delay beyond a day would make another day of it. */
  scheduleJitterSeconds: 24 * 60 * 60,
  /** Temporal makes up for nothing within less than 10 s; the upper end is its own default. */
  catchupWindowSeconds: { lowest: 10, highest: 365 * 24 * 60 * 60 },
  /** Ours: cycles that one backfill may start. Temporal keeps 1,000 waiting starts of a schedule. */
  cyclesPerBackfill: 100,
  /** Ours: characters of a condition in `approve --where`. */
  whereLength: 1000,
  /** AWS API model, BatchDescribeModelPackage: ARNs of one call. */
  modelPackagesPerCall: 100,
  /** Ours: calls a second with which decisions made in the registry are looked for, half of the budget at most. */
  registryWatchRate: 2,
  /** Ours: rows of one customer that a drift watch asks the endpoint for, in one request. */
  driftSample: 1000,
  /** AWS, InvokeEndpoint: the container has 60 s to answer. */
  invocationTimeoutSeconds: 60,
} as const;

/** AWS API model, ServerlessMemorySizeInMB, with the steps of the guide's page serverless-endpoints. */
export const SERVERLESS_MEMORY_SIZES: readonly number[] = [1024, 2048, 3072, 4096, 5120, 6144];

/** Calls a second to one operation of SageMaker's control plane, in one account and region. */
export interface CallRate {
  /** Where the budget starts, before it has learnt what the service bears. */
  readonly start: number;
  readonly floor: number;
  readonly ceiling: number;
}

/** AWS publishes no rates; ours, to be learnt from throttling. */
const CALL_RATE: CallRate = { start: 10, floor: 2, ceiling: 100 };

/** Users report 2 a second for ListTrainingJobs, not adjustable: github.com/aws-solutions/deepracer-on-aws/issues/87. */
const LIST_RATE: CallRate = { start: 2, floor: 0.2, ceiling: 2 };

export const callRate = (operation: string): CallRate =>
  operation.startsWith("List") ? LIST_RATE : CALL_RATE;

/** Ours: a call that would have to wait longer gives its place back and is retried by Temporal. Seconds. */
export const LONGEST_CALL_WAIT = 20;
