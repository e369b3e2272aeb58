/** Registers challengers as model package versions, and records decisions about them. */
import { PutObjectCommand, type S3Client } from "@aws-sdk/client-s3";
import {
  CreateModelPackageCommand,
  CreateModelPackageGroupCommand,
  UpdateModelPackageCommand,
  type SageMakerClient,
} from "@aws-sdk/client-sagemaker";
import type { Client } from "@temporalio/client";
import type pg from "pg";
import { FAILURES } from "../fleet/errors.js";
import { modelPackageGroupName, s3Keys } from "../fleet/names.js";
import { workflowIds } from "../workflows/messages.js";
import { announceVersion } from "./announce-version.js";
import { permanent } from "./application-failure.js";
import type { CycleRef } from "./ledger/cycles.js";
import { recordReleaseDecision, unknownVersion, type ReleaseVerdict } from "./ledger/decisions.js";
import {
  findModelPackageArn,
  readContender,
  recordRelease,
  type Contender,
} from "./ledger/releases.js";
import { readSpec } from "./ledger/specs.js";
import {
  approvalDescription,
  line,
  modelPackageRequest,
  versionOf,
} from "./model-package-request.js";
import { modelQuality } from "./model-quality.js";
import { TAGS } from "./training-job-request.js";

export interface RegistryDependencies {
  readonly ledger: pg.Pool;
  readonly sagemaker: SageMakerClient;
  readonly s3: S3Client;
  readonly region: string;
  readonly bucket: string;
  readonly temporal: Client;
  /** Seconds between two looks at the registry. */
  readonly watchSeconds: number;
}

export interface RegisterModelInput extends CycleRef {
  readonly customerKey: string;
}

export interface RegisteredModel {
  readonly version: number;
  /** `policy:<fleet>` when the gate approved the version. */
  readonly approvedBy?: string;
}

export type RecordDecisionInput = ReleaseVerdict;

export const createRegistryActivities = (dependencies: RegistryDependencies) => ({
  async registerModel(input: RegisterModelInput): Promise<RegisteredModel> {
    const contender = await readContender(dependencies.ledger, input);
    if (contender === undefined) throw notEvaluated(input);
    const { fleet, cycle, customerKey } = input;
    if (contender.version !== null) {
      // An earlier attempt may have ended before it told anybody.
      await announceVersion(dependencies, { fleet, customerKey, version: contender.version });
      return registered(contender.version, contender.decidedBy);
    }
    if (!contender.hasGroup) await createGroup(dependencies.sagemaker, input);
    const modelPackageArn = await createPackage(dependencies, input, contender);
    const version = versionOf(modelPackageArn);
    const approvedBy = contender.decision === "approve" ? `policy:${fleet}` : null;
    await recordRelease(dependencies.ledger, {
      fleet,
      cycle,
      customerKey,
      version,
      modelPackageArn,
      trainingJobName: contender.trainingJobName,
      artifactUri: contender.artifactUri,
      approvedBy,
      workflowId: workflowIds.releaseModel(fleet, customerKey, version),
      because: contender.because,
    });
    await announceVersion(dependencies, { fleet, customerKey, version });
    return registered(version, approvedBy);
  },

  /** Approves or rejects the version in the registry, which everybody trusts, and then in the ledger. */
  async recordDecision(input: RecordDecisionInput): Promise<void> {
    const { ledger, sagemaker } = dependencies;
    const arn = await findModelPackageArn(ledger, input);
    if (arn === undefined) throw unknownVersion(input);
    await sagemaker.send(
      new UpdateModelPackageCommand({
        ModelPackageArn: arn,
        ModelApprovalStatus: input.state === "approved" ? "Approved" : "Rejected",
        ApprovalDescription: approvalDescription(input.decision),
      }),
    );
    await recordReleaseDecision(ledger, input);
  },
});
export type RegistryActivities = ReturnType<typeof createRegistryActivities>;

const registered = (version: number, approvedBy: string | null): RegisteredModel =>
  approvedBy === null ? { version } : { version, approvedBy };

async function createGroup(
  sagemaker: SageMakerClient,
  { fleet, customerKey }: RegisterModelInput,
): Promise<void> {
  try {
    await sagemaker.send(
      new CreateModelPackageGroupCommand({
        ModelPackageGroupName: modelPackageGroupName(fleet, customerKey),
        ModelPackageGroupDescription: line(
          `Models of customer ${customerKey} of fleet ${fleet}`,
          1024,
        ),
        Tags: [
          { Key: TAGS.fleet, Value: fleet },
          { Key: TAGS.customerKey, Value: customerKey },
        ],
      }),
    );
  } catch (error) {
    if (!(error instanceof Error && /already exists/i.test(error.message))) throw error;
  }
}

async function createPackage(
  { ledger, sagemaker, s3, region, bucket }: RegistryDependencies,
  { fleet, cycle, customerKey }: RegisterModelInput,
  contender: Contender,
): Promise<string> {
  const { specHash, decision, windowFloor, windowCeiling } = contender;
  if (decision === "keep-champion") throw notEvaluated({ fleet, cycle, customerKey });
  const challenger = { ...contender, decision };
  const key = s3Keys.evaluation({ fleet, cycle, customerKey });
  await s3.send(
    new PutObjectCommand({
      Bucket: bucket,
      Key: key,
      Body: JSON.stringify(modelQuality(challenger), null, 1),
      ContentType: "application/json",
    }),
  );
  const request = modelPackageRequest({
    ...challenger,
    modelQualityUri: `s3://${bucket}/${key}`,
    spec: await readSpec(ledger, { fleet, specHash }),
    cycle,
    customerKey,
    window: { floor: windowFloor.toISOString(), ceiling: windowCeiling.toISOString() },
    region,
    bucket,
  });
  const { ModelPackageArn } = await sagemaker.send(new CreateModelPackageCommand(request));
  if (ModelPackageArn === undefined) throw new Error("CreateModelPackage returned no ARN");
  return ModelPackageArn;
}

const notEvaluated = ({ cycle, customerKey }: RegisterModelInput) =>
  permanent(FAILURES.unexpected, {
    message: `customer ${customerKey} has no challenger in cycle ${cycle} that is to be registered`,
    hint: "evaluateModel comes first, and decides that there is one",
  });
