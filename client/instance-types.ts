/** Whether the instance types that a fleet names exist: one that does not would fail every job of a cycle. */
import type { FleetDeclaration } from "../fleet/spec.schema.js";
import type { SpecIssue } from "./fleet-file-invalid.js";
import { nearest } from "./nearest.js";

/** Against the types that the pinned AWS SDK lists; newer ones come with a newer SDK. */
export async function checkInstanceTypes(declaration: FleetDeclaration): Promise<SpecIssue[]> {
  // Only fleet files need it, and the SDK takes a while to load.
  const { ProductionVariantInstanceType, TrainingInstanceType } =
    await import("@aws-sdk/client-sagemaker");
  const { endpoint, training } = declaration;
  return [
    ...issue("training.instanceType", training.instanceType, TrainingInstanceType),
    ...issue("endpoint.instanceType", endpoint.instanceType, ProductionVariantInstanceType),
  ];
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
