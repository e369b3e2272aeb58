/** Builds the CreateModelPackage request: what a person needs to decide, within AWS's limits for it. */
import type { CreateModelPackageInput } from "@aws-sdk/client-sagemaker";
import { sha256Hex } from "../fleet/canonical-json.js";
import { modelPackageGroupName } from "../fleet/names.js";
import type { FleetSpec } from "../fleet/spec.schema.js";
import type { Decision } from "../workflows/messages.js";
import { inferenceContainer } from "./inference-container.js";
import type { Improvement, SegmentChange } from "./ledger/evaluations.js";

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
  /** `because`, reason by reason. */
  readonly reasons: readonly string[];
  readonly metrics: Figures;
  readonly championMetrics: Figures | null;
  readonly baselineMetrics: Figures;
  readonly championVersion: number | null;
  /** Null without champion. */
  readonly improvement: Improvement | null;
  readonly segments: readonly SegmentChange[];
  readonly rows: { readonly train: number; readonly validation: number; readonly test: number };
  /** What was optimised on the validation rows, and what came of it. */
  readonly objective: { readonly metric: string; readonly value: number } | null;
  /** The cycle only tries the whole path. */
  readonly testing: boolean;
  /** Where `modelQuality` was put: S3 URI. */
  readonly modelQualityUri: string;
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
    ModelMetrics: {
      ModelQuality: { Statistics: { ContentType: "application/json", S3Uri: o.modelQualityUri } },
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
    ...comparison(o),
    "train-rows": String(o.rows.train),
    "validation-rows": String(o.rows.validation),
    "test-rows": String(o.rows.test),
    testing: o.testing ? "true" : null,
  };
  return Object.fromEntries(
    Object.entries(properties).flatMap(([key, value]) =>
      value === null ? [] : [[key, metadataValue(value)]],
    ),
  );
}

/** All in all at most 38 properties, of which AWS takes 50. */
function comparison({ improvement, segments, objective }: Challenger) {
  const properties: Record<string, string | null> = {
    "objective-metric": objective?.metric ?? null,
    "objective-value": textOf(objective?.value),
    "improvement-metric": improvement?.metric ?? null,
    improvement: textOf(improvement?.estimate),
    "improvement-low": textOf(improvement?.low),
    "improvement-high": textOf(improvement?.high),
    "improvement-confidence": textOf(improvement?.confidence),
  };
  for (const [index, { column, drop }] of segments.entries()) {
    properties[`segment-${index + 1}-column`] = column;
    properties[`segment-${index + 1}-drop`] = textOf(drop);
  }
  return properties;
}

/** As the training script prints it: nine digits, without what only binary fractions have. */
const textOf = (figure: number | null | undefined): string | null =>
  figure === null || figure === undefined ? null : String(Number(figure.toPrecision(9)));

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

/** Who decided, and why: what the registry shows beside the status. */
export const approvalDescription = ({ by, note }: Pick<Decision, "by" | "note">): string =>
  line(note === undefined ? by : `${by}: ${note}`, 1024);

/** `…:model-package/<group>/<version>`: the version is the registry's to give. */
export function versionOf(arn: string): number {
  const version = Number(/\/(\d+)$/.exec(arn)?.[1]);
  if (!Number.isInteger(version))
    throw new Error(`"${arn}" is no ARN of a versioned model package`);
  return version;
}
