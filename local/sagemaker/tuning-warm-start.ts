/** What may change between a tuning job and its parents, and what AWS says when more than that does. */
import { isDeepStrictEqual } from "node:util";
import { validationError } from "./errors.js";
import { readObjective, readPlan } from "./tuning-request.js";
import type { Definition, TuningJob, TuningPlan } from "./tuning-request.js";

export type WarmStartType = "IdenticalDataAndAlgorithm" | "TransferLearning";

/** A tuning job that is being created. */
export interface Child {
  readonly definition: Definition;
  readonly plan: TuningPlan;
  readonly type: WarmStartType;
  /** The training jobs that it and its parents may have together. */
  readonly maxTrainingJobs: number;
}

/** Developer Guide, automatic-model-tuning-warm-start: changes of hyperparameters, each category counted. */
const maxChanges = 10;

const finished = ["Completed", "Stopped", "Failed"];

export const isOver = ({ HyperParameterTuningJobStatus: status }: TuningJob): boolean =>
  finished.includes(status);

/** Throws a ValidationException for parents that this tuning job cannot start from. */
export function checkWarmStart(child: Child, parents: readonly TuningJob[]): void {
  const names = parents.map(({ HyperParameterTuningJobName: name }) => name.toLowerCase());
  const twice = names.find((name, index) => names.indexOf(name) < index);
  if (twice !== undefined)
    throw validationError(`Parent tuning job ${twice} is given more than once.`);
  for (const parent of parents) checkParent(child, parent);
  const jobs = parents.map(({ TrainingJobStatusCounters }) =>
    Object.values(TrainingJobStatusCounters).reduce((sum, count) => sum + count, 0),
  );
  const { maxJobs } = child.plan;
  const total = jobs.reduce((sum, count) => sum + count, Number.isFinite(maxJobs) ? maxJobs : 1);
  if (total > child.maxTrainingJobs)
    throw validationError(
      `The training jobs of all parent tuning jobs count against the maximum of ${child.maxTrainingJobs} ` +
        `training jobs of a tuning job: with those of the parents there would be ${total}.`,
    );
}

function checkParent(child: Child, parent: TuningJob): void {
  const { HyperParameterTuningJobName: name, HyperParameterTuningJobStatus: status } = parent;
  if (!isOver(parent))
    throw validationError(
      `Parent tuning job ${name} is in status ${status}: all parent tuning jobs must be ` +
        "Completed, Stopped or Failed before a warm start.",
    );
  const { TrainingJobDefinition: definition } = parent;
  if (definition === undefined) return;
  checkObjective(child, parent);
  checkNames(child, parent, definition);
  checkFields(child.definition, definition);
  checkKinds(child, parent);
  checkChanges(child, parent, definition);
  if (child.type === "IdenticalDataAndAlgorithm")
    checkIdentity(child.definition, parent, definition);
}

function checkObjective({ plan }: Child, parent: TuningJob): void {
  const before = readObjective(parent.HyperParameterTuningJobConfig);
  const now = plan.objective;
  if (isDeepStrictEqual(before, now)) return;
  throw validationError(
    "The objective metric of a warm start tuning job must be the same as that of all parent tuning jobs: " +
      `it is to ${now.direction} ${now.metric}, and parent ${parent.HyperParameterTuningJobName} was to ` +
      `${before.direction} ${before.metric}.`,
  );
}

function checkNames(child: Child, parent: TuningJob, definition: Definition): void {
  const before = namesOf(readPlan(parent), definition);
  const now = namesOf(child.plan, child.definition);
  if (isDeepStrictEqual(before, now)) return;
  throw validationError(
    "The set of tunable plus static HyperParameter names is not the same across current and parent tuning jobs. " +
      "Please ensure this set is constant when warm starting. " +
      "Note that previously static HyperParameters can be tuned in warm start jobs and vice versa.",
  );
}

function namesOf({ ranges }: TuningPlan, { StaticHyperParameters = {} }: Definition): string[] {
  return [...Object.keys(StaticHyperParameters), ...ranges.map(({ name }) => name)].sort();
}

/** In AWS's order, with AWS's names: they stand in its message. */
const mayChange = [
  "AlgorithmSpecification",
  "InputDataConfig",
  "OutputDataConfig",
  "StaticHyperParameters",
  "RoleArn",
  "ResourceConfig",
  "StoppingCondition",
  "VpcConfig",
  "EnableManagedSpotTraining",
  "CheckpointConfig",
] as const satisfies readonly (keyof Definition)[];

function checkFields(now: Definition, before: Definition): void {
  if (isDeepStrictEqual(fixedPart(now), fixedPart(before))) return;
  const names = mayChange.map((name) => name.charAt(0).toLowerCase() + name.slice(1));
  throw validationError(
    `Only the following fields in TrainingJobDefinition are allowed to change: [${names.join(", ")}].`,
  );
}

/** A switch that is off and an empty environment are the same as none. */
function fixedPart(definition: Definition): Record<string, unknown> {
  const fixed = Object.entries(definition).filter(
    ([name, value]) =>
      !mayChange.some((each) => each === name) && value !== false && !isDeepStrictEqual(value, {}),
  );
  return Object.fromEntries(fixed);
}

function checkKinds({ plan }: Child, parent: TuningJob): void {
  const before = readPlan(parent).ranges;
  for (const { name, kind } of plan.ranges) {
    const old = before.find((range) => range.name === name);
    if (old !== undefined && old.kind !== kind)
      throw validationError(
        `The type of hyperparameter ${name} must not change: it is ${kind}, and in parent tuning job ` +
          `${parent.HyperParameterTuningJobName} it was ${old.kind}.`,
      );
  }
}

function checkChanges(child: Child, parent: TuningJob, definition: Definition): void {
  const statics = child.definition.StaticHyperParameters ?? {};
  const oldStatics = definition.StaticHyperParameters ?? {};
  const becameStatic = readPlan(parent)
    .ranges.filter(({ name }) => Object.hasOwn(statics, name))
    .map((range) => (range.kind === "categorical" ? range.values.length : 1));
  const changed = Object.keys(statics).filter(
    (name) => Object.hasOwn(oldStatics, name) && oldStatics[name] !== statics[name],
  );
  const changes = becameStatic.reduce((sum, count) => sum + count, changed.length);
  if (changes <= maxChanges) return;
  throw validationError(
    "The number of changes from tunable hyperparameters to static ones plus the number of changed values of static " +
      `hyperparameters cannot be more than ${maxChanges}: against parent tuning job ` +
      `${parent.HyperParameterTuningJobName} it is ${changes}.`,
  );
}

function checkIdentity(now: Definition, parent: TuningJob, before: Definition): void {
  const refuse = (what: string) =>
    validationError(
      `A warm start of type IdenticalDataAndAlgorithm needs the same ${what} as parent tuning job ` +
        `${parent.HyperParameterTuningJobName}. Use TransferLearning if it has changed.`,
    );
  if (!isDeepStrictEqual(now.InputDataConfig ?? [], before.InputDataConfig ?? []))
    throw refuse("input data");
  const [image, oldImage] = [now, before].map((each) => each.AlgorithmSpecification.TrainingImage);
  if (image !== oldImage) throw refuse("training image");
}
