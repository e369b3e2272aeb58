/** Builds the CreateModelPackage request of a cohort: one version for all its members, within AWS's limits for it. */
import type { CreateModelPackageInput } from "@aws-sdk/client-sagemaker";
import { sha256Hex } from "../fleet/canonical-json.js";
import { commonFolder, describeFigures, type Quartiles } from "../fleet/cohort.js";
import { COHORT_KEY, modelPackageGroupName } from "../fleet/names.js";
import { inferenceContainer } from "./inference-container.js";
import type { Contenders } from "./ledger/cohorts.js";
import type { Cycle } from "./ledger/cycles.js";
import { line, metadataValue } from "./model-package-request.js";

export interface CohortChallenger {
  readonly cycle: Cycle;
  readonly contenders: Contenders;
  /** Where the figures of every member were put: S3 URI. */
  readonly figuresUri: string;
  readonly region: string;
  readonly bucket: string;
}

/**
 * The artifacts stand as a prefix (`ModelDataSource`), since `ModelDataUrl` names one archive and a cohort has
 * thousands; of what a prefix may hold AWS takes `CompressionType` None only, which says that it is not one archive
 * to be unpacked. The endpoint serves copies under its own prefix.
 */
export function cohortPackageRequest(o: CohortChallenger): CreateModelPackageInput {
  const { spec, cycle } = o.cycle;
  const { members, figures, hash, firstArtifact, lastArtifact } = o.contenders;
  const words = describeFigures(members, figures);
  return {
    ModelPackageGroupName: modelPackageGroupName(spec.name, COHORT_KEY),
    ModelPackageDescription: line(`${spec.name}, cycle ${cycle}: ${words}`, 1024),
    ModelApprovalStatus: figures.asking === 0 ? "Approved" : "PendingManualApproval",
    InferenceSpecification: {
      Containers: [
        {
          ...inferenceContainer(spec, o),
          ModelDataSource: {
            S3DataSource: {
              S3Uri: commonFolder(firstArtifact, lastArtifact),
              S3DataType: "S3Prefix",
              CompressionType: "None",
            },
          },
        },
      ],
      SupportedContentTypes: ["text/csv"],
      SupportedResponseMIMETypes: ["text/csv"],
    },
    ModelMetrics: {
      ModelQuality: { Statistics: { ContentType: "application/json", S3Uri: o.figuresUri } },
    },
    CustomerMetadataProperties: metadata(o),
    // The same contenders always make the same version.
    ClientToken: sha256Hex(`${spec.name} ${cycle} ${hash}`).slice(0, 36),
  };
}

/** At most 24 properties, of which AWS takes 50. */
function metadata({ cycle, contenders }: CohortChallenger): Record<string, string> {
  const { spec, specHash, window, testing } = cycle;
  const { members, figures, trainingJobName } = contenders;
  const { metric, asking, error, improvement, championKept, failed, skipped } = figures;
  const properties: Record<string, string | number> = {
    fleet: spec.name,
    cycle: cycle.cycle,
    "window-floor": window.floor,
    "window-ceiling": window.ceiling,
    "code-hash": spec.training.sourceHash,
    "spec-hash": specHash,
    "training-job": trainingJobName,
    members,
    "members-asking": asking,
    "left-out-champion-kept": championKept,
    "left-out-failed": failed,
    "left-out-skipped": skipped,
    decision: asking === 0 ? "approve" : "ask",
    metric,
    ...quartiles(metric.replaceAll("_", "-"), error),
    ...quartiles("improvement", improvement),
    ...(testing ? { testing: "true" } : {}),
  };
  return Object.fromEntries(
    Object.entries(properties).map(([name, value]) => [name, metadataValue(String(value))]),
  );
}

const quartiles = (name: string, of: Quartiles | null): Record<string, number> =>
  of === null
    ? {}
    : {
        [`${name}-lower-quartile`]: rounded(of.low),
        [`${name}-median`]: rounded(of.median),
        [`${name}-upper-quartile`]: rounded(of.high),
      };

const rounded = (value: number): number => Number(value.toPrecision(9));
