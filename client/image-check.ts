/** Whether SageMaker's images are known for the region that a fleet will run in. */
import { SpecError } from "../fleet/errors.js";
import { containerImage, type ImageChoice } from "../fleet/images.js";
import type { FleetSpec } from "../fleet/spec.schema.js";
import type { LoadedFleet } from "./fleet-file.js";
import { FleetFileInvalid, type SpecIssue } from "./fleet-file-invalid.js";
import type { Environment } from "./settings.js";

/** Nothing is said while no region is set: whatever needs it asks for it. */
export function imageIssues(spec: FleetSpec, { AWS_REGION: region }: Environment): SpecIssue[] {
  if (region === undefined || region === "") return [];
  return choices(spec).flatMap(([field, choice]) => {
    try {
      containerImage(choice, region);
      return [];
    } catch (error) {
      if (!(error instanceof SpecError)) throw error;
      return [{ field: `${field}.image`, problem: error.message, hint: error.hint }];
    }
  });
}

/** Throws FleetFileInvalid. */
export function requireImages({ path, spec }: LoadedFleet, environment: Environment): void {
  const issues = imageIssues(spec, environment);
  if (issues.length > 0) throw new FleetFileInvalid(path, issues);
}

function choices({ training, preparation }: FleetSpec): [field: string, choice: ImageChoice][] {
  return [
    ["training", training],
    ...(training.kind === "pipeline"
      ? [["training.preprocessor", training.preprocessor] satisfies [string, ImageChoice]]
      : []),
    ...(preparation === undefined
      ? []
      : [["preparation", preparation] satisfies [string, ImageChoice]]),
  ];
}
