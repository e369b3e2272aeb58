/** The training jobs of a tuning job: their common definition, as the request for each of them. */
import { validationError } from "./errors.js";
import type { Wire } from "./operations.js";
import type * as sagemaker from "@aws-sdk/client-sagemaker";
import type { Definition } from "./tuning-request.js";

type CreateTrainingJob = Wire<sagemaker.CreateTrainingJobRequest>;
type ResourceConfig = NonNullable<CreateTrainingJob["ResourceConfig"]>;

/** The tuner tells each job the name of its metric by a hyperparameter more. */
export const objectiveParameter = "_tuning_objective_metric";

/** The request that the definition makes, for one job. */
export function trainingRequest(
  definition: Definition,
  job: { name: string; hyperParameters: Readonly<Record<string, string>> },
): CreateTrainingJob {
  const {
    DefinitionName,
    TuningObjective,
    HyperParameterRanges,
    StaticHyperParameters = {},
    HyperParameterTuningResourceConfig: tuningResources,
    ResourceConfig: resources,
    ...shared
  } = definition;
  if (resources !== undefined && tuningResources !== undefined)
    throw validationError(
      "Only one of ResourceConfig and HyperParameterTuningResourceConfig may be specified.",
    );
  const resourceConfig = resources ?? (tuningResources && firstChoice(tuningResources));
  return {
    ...shared,
    TrainingJobName: job.name,
    HyperParameters: { ...StaticHyperParameters, ...job.hyperParameters },
    ...(resourceConfig && { ResourceConfig: resourceConfig }),
  };
}

/** Every instance type is always to be had here: the second choices are never needed. */
function firstChoice(
  resources: NonNullable<Definition["HyperParameterTuningResourceConfig"]>,
): ResourceConfig {
  const { InstanceConfigs = [], AllocationStrategy, ...single } = resources;
  return { ...single, ...InstanceConfigs[0] };
}
