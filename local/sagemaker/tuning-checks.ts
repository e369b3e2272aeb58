/** What AWS checks of a tuning job when it is created, beyond the shape of the request. */
import type { AccountQuotas } from "./config.schema.js";
import { validationError } from "./errors.js";
import type { Call } from "./operations.js";
import { limitExceeded } from "./quotas.js";
import type { TrainingRequest, TrainingRequestChecks } from "./training-checks.js";
import { objectiveParameter, trainingRequest } from "./tuning-definition.js";
import { readPlan } from "./tuning-request.js";
import type { CreateTuningJob, Definition, TuningPlan } from "./tuning-request.js";

/** AWS: static ones, tunable ones, and the one that the tuner adds. */
const maxHyperParameters = 100;

export interface CheckedTuningJob {
  readonly definition: Definition;
  readonly plan: TuningPlan;
  /** What a training job of it would be created with. */
  readonly training: TrainingRequest;
}

/** Throws what AWS answers to a tuning job that cannot be; its warm start is checked elsewhere. */
export async function checkTuningJob(
  call: Call,
  request: CreateTuningJob,
  parts: { readonly training: TrainingRequestChecks; readonly quotas: AccountQuotas },
): Promise<CheckedTuningJob> {
  const definition = soleDefinition(request);
  const plan = readPlan({ ...request, TrainingJobDefinition: definition });
  checkHyperParameters(definition, plan);
  checkMetric(definition, plan);
  checkQuotas(plan, parts.quotas);
  const job = { name: `${request.HyperParameterTuningJobName}-001-00000000`, hyperParameters: {} };
  const training = await parts.training.check(call, trainingRequest(definition, job));
  return { definition, plan, training };
}

function soleDefinition(request: CreateTuningJob): Definition {
  const { TrainingJobDefinition, TrainingJobDefinitions, Autotune } = request;
  if (Autotune !== undefined)
    throw validationError("The local SageMaker server has no Autotune: give ranges yourself.");
  if (TrainingJobDefinitions !== undefined)
    throw validationError(
      "The local SageMaker server has no TrainingJobDefinitions: use TrainingJobDefinition.",
    );
  if (TrainingJobDefinition === undefined)
    throw validationError("A tuning job needs TrainingJobDefinition.");
  const { TuningObjective, HyperParameterRanges } = TrainingJobDefinition;
  if (TuningObjective !== undefined || HyperParameterRanges !== undefined)
    throw validationError(
      "TuningObjective and HyperParameterRanges are only for TrainingJobDefinitions: " +
        "with TrainingJobDefinition they stand in HyperParameterTuningJobConfig.",
    );
  return TrainingJobDefinition;
}

function checkHyperParameters(
  { StaticHyperParameters = {} }: Definition,
  { ranges }: TuningPlan,
): void {
  const both = ranges.find(({ name }) => Object.hasOwn(StaticHyperParameters, name));
  if (both !== undefined)
    throw validationError(`Hyperparameter ${both.name} is both static and tunable.`);
  const names = [...Object.keys(StaticHyperParameters), ...ranges.map(({ name }) => name)];
  if (names.includes(objectiveParameter))
    throw validationError(`Hyperparameter ${objectiveParameter} is set by the tuning job.`);
  if (names.length + 1 > maxHyperParameters)
    throw validationError(
      `A training job has at most ${maxHyperParameters} hyperparameters: ${names.length} static and ` +
        `tunable ones and ${objectiveParameter} are too many.`,
    );
}

function checkMetric({ AlgorithmSpecification }: Definition, { objective }: TuningPlan): void {
  const { MetricDefinitions = [] } = AlgorithmSpecification;
  if (MetricDefinitions.some(({ Name }) => Name === objective.metric)) return;
  throw validationError(
    "A metric is required for this hyperparameter tuning job objective. Provide a metric in the metric definitions.",
  );
}

function checkQuotas(plan: TuningPlan, quotas: AccountQuotas): void {
  const check = (name: string, unit: string, limit: number, requested: number): void => {
    if (requested > limit) throw limitExceeded({ name, unit, limit, inUse: 0, requested });
  };
  const { parallelJobs, maxJobs, maxRuntimeSeconds = 0 } = plan;
  check(
    "Maximum number of parallel training jobs per hyperparameter tuning job",
    "Training Jobs",
    quotas.parallelTrainingJobs,
    parallelJobs,
  );
  // A search that has no number of jobs, but another end, goes on as far as the quota lets it.
  if (Number.isFinite(maxJobs))
    check(
      "Maximum number of training jobs per hyperparameter tuning job",
      "Training Jobs",
      maxTrainingJobs(plan, quotas),
      maxJobs,
    );
  check(
    "Maximum run time of a hyperparameter tuning job",
    "Seconds",
    quotas.tuningSeconds,
    maxRuntimeSeconds,
  );
}

/** The training jobs that a tuning job and its parents may have together. */
export function maxTrainingJobs({ strategy }: TuningPlan, quotas: AccountQuotas): number {
  return strategy === "Random" ? quotas.randomTrainingJobs : quotas.trainingJobs;
}
