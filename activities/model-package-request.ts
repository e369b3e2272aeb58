/** Builds the CreateModelPackage request: what a person needs to decide, within AWS's limits for it. */
import type { CreateModelPackageInput } from "@aws-sdk/client-sagemaker";
import { sha256Hex } from "../fleet/canonical-json.js";
import { modelPackageGroupName } from "../fleet/names.js";
import type { FleetSpec } from "../fleet/spec.schema.js";
import { inferenceContainer } from "./inference-container.js";

export interface Challenger {
  readonly spec: FleetSpec;
  readonly cycle: string;
  readonly customerKey: string;
  readonly customer: string;
  readonly window: { readonly floor: string; readonly ceiling: string };
  readonly dataHash: string | null;
  readonly specHash: string;
  readonly trainingJobName: string;
  readonly artifactUri: string;
  readonly decision: "approve" | "ask";
  readonly because: string;
  readonly metrics: Figures;
  readonly championMetrics: Figures | null;
  readonly baselineMetrics: Figures;
  readonly championVersion: number | null;
  readonly region: string;
  readonly bucket: string;
}

export type Figures = Readonly<Record<string, number>>;

export function modelPackageRequest(o: Challenger): CreateModelPackageInput {
  const { spec } = o;
  return {
    ModelPackageGroupName: modelPackageGroupName(spec.name, o.customerKey),
    ModelPackageDescription: line(
      `${spec.name} for ${o.customer}, cycle ${o.cycle}: ${o.because}`,
      1024,
    ),
    ModelApprovalStatus: o.decision === "approve" ? "Approved" : "PendingManualApproval",
    InferenceSpecification: {
      Containers: [{ ...inferenceContainer(spec, o), ModelDataUrl: o.artifactUri }],
      SupportedContentTypes: ["text/csv"],
      SupportedResponseMIMETypes: ["text/csv"],
    },
    CustomerMetadataProperties: metadata(o),
    // The one idempotent create that SageMaker has: the same job always makes the same version.
    ClientToken: sha256Hex(o.trainingJobName).slice(0, 36),
  };
}

function metadata(o: Challenger): Record<string, string> {
  const { spec } = o;
  const properties: Record<string, string | null> = {
    fleet: spec.name,
    customer: o.customer,
    "customer-key": o.customerKey,
    cycle: o.cycle,
    "window-floor": o.window.floor,
    "window-ceiling": o.window.ceiling,
    "data-hash": o.dataHash,
    "code-hash": spec.training.sourceHash,
    "spec-hash": o.specHash,
    "training-job": o.trainingJobName,
    decision: o.decision,
    because: o.because,
    "champion-version": o.championVersion === null ? null : String(o.championVersion),
    ...figures("", o.metrics),
    ...figures("champion-", o.championMetrics ?? {}),
    ...figures("baseline-", o.baselineMetrics),
  };
  return Object.fromEntries(
    Object.entries(properties).flatMap(([key, value]) =>
      value === null ? [] : [[key, metadataValue(value)]],
    ),
  );
}

const figures = (prefix: string, of: Figures): Record<string, string> =>
  Object.fromEntries(
    Object.entries(of).map(([name, value]) => [prefix + name.replaceAll("_", "-"), String(value)]),
  );

/** AWS API model, CustomerMetadataValue: 1 to 256 of these signs; the ledger has the words as they are. */
export function metadataValue(text: string): string {
  const allowed = text.replace(/[^\p{L}\p{Z}\p{N}_.:/=+\-@]/gu, "-").slice(0, 256);
  return allowed.replace(/[\uD800-\uDBFF]$/, "") || "-";
}

/** AWS API model, EntityDescription and ApprovalDescription: no line breaks. */
export const line = (text: string, length: number): string =>
  text
    .replace(/[\p{Cc}\u2028\u2029]+/gu, " ")
    .slice(0, length)
    .replace(/[\uD800-\uDBFF]$/, "");
