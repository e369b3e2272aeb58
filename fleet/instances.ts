/** Which instances a job of SageMaker's runs on, read from the request that made it. */

export interface JobInstances {
  readonly instanceType: string;
  readonly instances: number;
}

export type CostKind = "training" | "tuning" | "processing" | "transform";

/** Null when the request does not tell: an instance type is never guessed. */
export function instancesOf(kind: CostKind, request: unknown): JobInstances | null {
  const resources = at(request, PLACES[kind]);
  const instanceType = at(resources, ["InstanceType"]);
  if (typeof instanceType !== "string") return null;
  const count = at(resources, ["InstanceCount"]);
  return { instanceType, instances: typeof count === "number" ? count : 1 };
}

/** Where SageMaker's Create requests have them. */
const PLACES: Readonly<Record<CostKind, readonly string[]>> = {
  training: ["ResourceConfig"],
  tuning: ["TrainingJobDefinition", "ResourceConfig"],
  processing: ["ProcessingResources", "ClusterConfig"],
  transform: ["TransformResources"],
};

function at(value: unknown, path: readonly string[]): unknown {
  const [name, ...rest] = path;
  if (name === undefined) return value;
  if (typeof value !== "object" || value === null || !(name in value)) return undefined;
  return at((value as Readonly<Record<string, unknown>>)[name], rest);
}
