/** Registers challengers as model package versions, and records decisions about them. */
import {
  CreateModelPackageCommand,
  CreateModelPackageGroupCommand,
  UpdateModelPackageCommand,
  type SageMakerClient,
} from "@aws-sdk/client-sagemaker";
import type pg from "pg";
import { FAILURES } from "../fleet/errors.js";
import { modelPackageGroupName } from "../fleet/names.js";
import { workflowIds, type Decision } from "../workflows/messages.js";
import { permanent } from "./application-failure.js";
import type { CycleRef } from "./ledger/cycles.js";
import {
  findModelPackageArn,
  readContender,
  recordRelease,
  recordReleaseDecision,
  type Contender,
} from "./ledger/releases.js";
import { readSpec } from "./ledger/specs.js";
import { line, modelPackageRequest } from "./model-package-request.js";
import { TAGS } from "./training-job-request.js";

export interface RegistryDependencies {
  readonly ledger: pg.Pool;
  readonly sagemaker: SageMakerClient;
  readonly region: string;
  readonly bucket: string;
}

export interface RegisterModelInput extends CycleRef {
  readonly customerKey: string;
}

export interface RegisteredModel {
  readonly version: number;
  /** `policy:<fleet>` when the gate approved the version. */
  readonly approvedBy?: string;
}

export interface RecordDecisionInput {
  readonly fleet: string;
  readonly customerKey: string;
  readonly version: number;
  readonly decision: Decision;
}

export const createRegistryActivities = (dependencies: RegistryDependencies) => ({
  async registerModel(input: RegisterModelInput): Promise<RegisteredModel> {
    const contender = await readContender(dependencies.ledger, input);
    if (contender === undefined) throw notEvaluated(input);
    if (contender.version !== null) return registered(contender.version, contender.decidedBy);
    const { fleet, cycle, customerKey } = input;
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
    return registered(version, approvedBy);
  },

  /** Approves or rejects the version in the registry, which everybody trusts, and then in the ledger. */
  async recordDecision(input: RecordDecisionInput): Promise<void> {
    const { ledger, sagemaker } = dependencies;
    const { verdict, by, note } = input.decision;
    const arn = await findModelPackageArn(ledger, input);
    if (arn === undefined) throw unknownVersion(input);
    await sagemaker.send(
      new UpdateModelPackageCommand({
        ModelPackageArn: arn,
        ModelApprovalStatus: verdict === "approve" ? "Approved" : "Rejected",
        ApprovalDescription: line(note === undefined ? by : `${by}: ${note}`, 1024),
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
  { ledger, sagemaker, region, bucket }: RegistryDependencies,
  { fleet, cycle, customerKey }: RegisterModelInput,
  contender: Contender,
): Promise<string> {
  const { specHash, decision, windowFloor, windowCeiling } = contender;
  if (decision === "keep-champion") throw notEvaluated({ fleet, cycle, customerKey });
  const request = modelPackageRequest({
    ...contender,
    decision,
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

/** `…:model-package/<group>/<version>`: the version is the registry's to give. */
function versionOf(arn: string): number {
  const version = Number(/\/(\d+)$/.exec(arn)?.[1]);
  if (!Number.isInteger(version))
    throw new Error(`"${arn}" is no ARN of a versioned model package`);
  return version;
}

const notEvaluated = ({ cycle, customerKey }: RegisterModelInput) =>
  permanent(FAILURES.unexpected, {
    message: `customer ${customerKey} has no challenger in cycle ${cycle} that is to be registered`,
    hint: "evaluateModel comes first, and decides that there is one",
  });

const unknownVersion = ({ fleet, customerKey, version }: RecordDecisionInput) =>
  permanent(FAILURES.specInvalid, {
    message: `the ledger has no version ${version} of customer ${customerKey} of fleet "${fleet}"`,
    hint: `modelfleet models ${fleet} --customer ${customerKey} lists what there is`,
  });
