/** What a fleet's stages need in each account, what of it is missing, and how that is made: no more than that. */
import type { S3Client } from "@aws-sdk/client-s3";
import {
  homeBucketStatement,
  mergePolicy,
  type PolicyChange,
  type RemoteStage,
} from "../fleet/account-policies.js";
import type { FleetSpec, StageSpec } from "../fleet/spec.schema.js";
import { assertOwnBucket, homeAccount } from "../fleet/stages.js";
import type { Connections } from "./connections.js";
import { ClientError, hintOf, messageOf } from "./errors.js";
import { checkExecutionRole, type RoleCheck } from "./execution-role.js";
import {
  lookAtGroups,
  openRegistry,
  putGroupPolicies,
  type GroupsOptions,
} from "./package-group-policies.js";
import { setting } from "./settings.js";
import { missingOfBucket, type BucketStep } from "./stage-bucket.js";
import { callerAccount, openStage } from "./stage-connections.js";

/** Something that is missing, and is made by `applyAccounts`. */
export type AccountStep =
  | (BucketStep & { readonly account: string; readonly stage: string })
  | PolicyStep<"bucket-policy">
  | PolicyStep<"group-policy">;

interface PolicyStep<Kind extends string> extends PolicyChange {
  readonly kind: Kind;
  readonly account: string;
  /** The bucket or the model package group. */
  readonly name: string;
}

/** What keeps a stage from being looked at, and what to do about it. */
export interface AccountProblem {
  /** Absent: it is about the account of training and registry. */
  readonly stage?: string;
  readonly account: string;
  readonly found: string;
  readonly mend?: string;
}

export interface AccountsPlan {
  readonly fleet: string;
  /** The account of training and registry: that of the credentials. */
  readonly home: string;
  readonly stages: readonly { readonly stage: string; readonly account: string }[];
  readonly steps: readonly AccountStep[];
  /** So many model package groups' policies were read; none when every stage is at home. */
  readonly groups: number;
  /** There are older groups, which were not to be looked at. */
  readonly olderUnread?: true;
  readonly problems: readonly AccountProblem[];
  /** What could not be looked at, for want of a right to ask. */
  readonly notes: readonly AccountProblem[];
}

/** Looks at every account, and changes nothing. Throws when the home account itself cannot be looked at. */
export async function planAccounts(
  connections: Connections,
  spec: FleetSpec,
  options: GroupsOptions = {},
): Promise<AccountsPlan> {
  const home = await callerAccount(setting(connections.environment, "AWS_REGION"));
  if (homeAccount(spec) !== home)
    throw new ClientError(
      `fleet "${spec.name}" is trained in account ${homeAccount(spec)}, your credentials are of ${home}`,
      "use credentials of that account, or correct `account` in the fleet file",
    );
  const steps: AccountStep[] = [];
  const problems: AccountProblem[] = [];
  const notes: AccountProblem[] = [];
  const tell = (
    place: Pick<AccountProblem, "stage" | "account">,
    { state, ...told }: RoleCheck,
  ) => {
    if (state !== "ok") (state === "note" ? notes : problems).push({ ...place, ...told });
  };
  const region = setting(connections.environment, "AWS_REGION");
  const own = setting(connections.environment, "MODELFLEET_ROLE_ARN");
  tell({ account: home }, await checkExecutionRole(own, { region }));
  for (const stage of spec.stages) {
    const { name, account } = stage;
    try {
      const looked = await lookAtStage(connections, stage, home);
      steps.push(...looked.steps);
      if (looked.role !== undefined) tell({ stage: name, account }, looked.role);
    } catch (error) {
      const mend = hintOf(error);
      const found = messageOf(error);
      problems.push({ stage: name, account, found, ...(mend !== undefined && { mend }) });
    }
  }
  const remote = spec.stages.filter((stage) => isRemote(stage, home));
  const needs = { fleet: spec.name, home, remote };
  const looked =
    remote.length > 0 ? await lookAtHome(connections, needs, options) : { steps: [], groups: 0 };
  const stages = spec.stages.map(({ name, account }) => ({ stage: name, account }));
  const found = { ...looked, steps: [...steps, ...looked.steps], problems, notes };
  return { fleet: spec.name, home, stages, ...found };
}

/** Makes what a plan found missing, and tells each in the plan's order: what exists by now is left. */
export async function applyAccounts(
  connections: Connections,
  spec: FleetSpec,
  plan: AccountsPlan,
  onDone: (step: AccountStep) => void,
): Promise<void> {
  for (const step of plan.steps) {
    if (step.kind === "group-policy") continue;
    await applyStep(connections, spec, plan, step);
    onDone(step);
  }
  const groups = plan.steps.filter((step) => step.kind === "group-policy");
  const registry = await openRegistry(setting(connections.environment, "AWS_REGION"));
  try {
    await putGroupPolicies(registry, groups, onDone);
  } finally {
    registry.destroy();
  }
}

async function applyStep(
  connections: Connections,
  spec: FleetSpec,
  { home }: AccountsPlan,
  step: Exclude<AccountStep, { readonly kind: "group-policy" }>,
): Promise<void> {
  if (step.kind === "bucket-policy") {
    const { PutBucketPolicyCommand } = await import("@aws-sdk/client-s3");
    const put = new PutBucketPolicyCommand({ Bucket: step.name, Policy: step.policy });
    return void (await (await connections.s3()).send(put));
  }
  const stage = spec.stages.find(({ name }) => name === step.stage);
  if (stage === undefined) throw new Error(`the fleet has no stage ${step.stage}`);
  const { applyBucketStep } = await import("./stage-bucket.js");
  const open = await openStage(connections, stage, home);
  try {
    await applyBucketStep(open, step);
  } finally {
    open.close();
  }
}

const isRemote = (stage: StageSpec, home: string): stage is StageSpec & RemoteStage =>
  stage.account !== home && stage.role !== undefined;

interface LookedAt {
  readonly steps: readonly AccountStep[];
  /** Undefined: the stage has no execution role but the worker's. */
  readonly role: RoleCheck | undefined;
}

async function lookAtStage(
  connections: Connections,
  stage: StageSpec,
  home: string,
): Promise<LookedAt> {
  // The worker's own bucket is there before any fleet is: `modelfleet doctor` looks at it.
  const own = setting(connections.environment, "MODELFLEET_BUCKET");
  const { name, account, bucket = own, executionRole } = stage;
  if (account === home && bucket === own && executionRole === undefined)
    return { steps: [], role: undefined };
  assertOwnBucket(stage, { account: home, bucket: own });
  const open = await openStage(connections, stage, home);
  const { region, credentials } = open;
  try {
    const role =
      executionRole &&
      (await checkExecutionRole(executionRole, { region, ...(credentials && { credentials }) }));
    const missing = account === home && bucket === own ? [] : await missingOfBucket(open, bucket);
    const steps = missing.map((step) => ({ ...step, account, stage: name }));
    return { steps, role: role || undefined };
  } finally {
    open.close();
  }
}

interface HomeNeeds {
  readonly fleet: string;
  readonly home: string;
  readonly remote: readonly RemoteStage[];
}

type HomeLook = Pick<AccountsPlan, "steps" | "groups" | "olderUnread">;

async function lookAtHome(
  connections: Connections,
  { fleet, home: account, remote }: HomeNeeds,
  options: GroupsOptions,
): Promise<HomeLook> {
  const bucket = setting(connections.environment, "MODELFLEET_BUCKET");
  const steps: AccountStep[] = [];
  const current = await bucketPolicy(await connections.s3(), bucket);
  const wanted = remote.map((stage) => homeBucketStatement({ fleet, bucket }, stage));
  const change = mergePolicy(current, wanted);
  if (change !== undefined) steps.push({ kind: "bucket-policy", account, name: bucket, ...change });
  const registry = await openRegistry(setting(connections.environment, "AWS_REGION"));
  try {
    const { changes, looked, more } = await lookAtGroups(registry, { fleet, remote }, options);
    const missing = changes.map((one) => ({ kind: "group-policy", account, ...one }) as const);
    return { steps: [...steps, ...missing], groups: looked, ...(more && { olderUnread: true }) };
  } finally {
    registry.destroy();
  }
}

async function bucketPolicy(s3: S3Client, Bucket: string): Promise<string | undefined> {
  const { GetBucketPolicyCommand } = await import("@aws-sdk/client-s3");
  try {
    return (await s3.send(new GetBucketPolicyCommand({ Bucket }))).Policy;
  } catch (error) {
    if (error instanceof Error && error.name === "NoSuchBucketPolicy") return undefined;
    throw error;
  }
}
