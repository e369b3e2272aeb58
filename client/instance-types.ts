/** Whether the instance types that a fleet names exist: one that does not would fail every job of a cycle. */
import type { FleetDeclaration } from "../fleet/spec.schema.js";
import type { SpecIssue } from "./fleet-file-invalid.js";
import { nearest } from "./nearest.js";

/** Against the types that the pinned AWS SDK lists; newer ones come with a newer SDK. */
export async function checkInstanceTypes(declaration: FleetDeclaration): Promise<SpecIssue[]> {
  // Only fleet files need it, and the SDK takes a while to load.
  const {
    ProcessingInstanceType,
    ProductionVariantInstanceType,
    TrainingInstanceType,
    TransformInstanceType,
  } = await import("@aws-sdk/client-sagemaker");
  const { endpoint, preparation, training } = declaration;
  const issues = issue("training.instanceType", training.instanceType, TrainingInstanceType);
  if (training.kind === "pipeline") {
    const { instanceType, transform } = training.preprocessor;
    issues.push(
      ...issue("training.preprocessor.instanceType", instanceType, TrainingInstanceType),
      ...issue(
        "training.preprocessor.transform.instanceType",
        transform.instanceType,
        TransformInstanceType,
      ),
    );
  }
  if (preparation !== undefined)
    issues.push(
      ...issue("preparation.instanceType", preparation.instanceType, ProcessingInstanceType),
    );
  if (endpoint.kind !== "serverless")
    issues.push(
      ...issue("endpoint.instanceType", endpoint.instanceType, ProductionVariantInstanceType),
    );
  return issues;
}

function issue(field: string, type: string, known: Readonly<Record<string, string>>): SpecIssue[] {
  const names = Object.values(known);
  if (names.includes(type)) return [];
  const close = nearest(type, names);
  return [
    {
      field,
      value: JSON.stringify(type),
      problem: "is no instance type that SageMaker offers for this",
      ...(close === undefined ? {} : { hint: `did you mean "${close}"?` }),
    },
  ];
}
