/** The stages that a fleet's models pass through: which declarations go together, and what they come to. */
import type { z } from "zod";
import { secondsOf } from "./duration.js";
import { SpecError } from "./errors.js";
import type { StageSpec } from "./stage.schema.js";

/** `release`: what is approved. `none`: also what nobody has decided yet. `stage`: what is approved for this stage as well. */
export type StageApproval = "release" | "none" | "stage";

/** One station of a version's way, in short. */
export interface PromotionStage {
  readonly name: string;
  readonly approval: StageApproval;
  /** After the version began to serve in the stage before. */
  readonly lagSeconds: number;
}

/** In order of promotion. */
export const promotionStages = ({
  stages,
}: {
  readonly stages: readonly StageSpec[];
}): PromotionStage[] =>
  stages.map(({ name, approval = "release", lag = "0s" }) => ({
    name,
    approval,
    lagSeconds: secondsOf(lag),
  }));

/** Whether it takes versions through more than one stage, or asks more than one approval. */
export const isStaged = (stages: readonly PromotionStage[]): boolean =>
  stages.length > 1 || stages.some(({ approval }) => approval !== "release");

/** Of the stages named, the one that is nearest to the customers; undefined when the fleet declares none of them. */
export const furthestStage = (
  { stages }: { readonly stages: readonly StageSpec[] },
  names: readonly string[],
): StageSpec | undefined => stages.findLast(({ name }) => names.includes(name));

/** Training and the model registry live in this account: the worker's own. */
export const homeAccount = ({
  account,
  stages: [first],
}: {
  readonly account?: string | undefined;
  readonly stages: readonly [StageSpec, ...StageSpec[]];
}): string => account ?? first.account;

/** What the worker's own settings say. */
export interface HomePlace {
  readonly account: string;
  readonly region: string;
  readonly bucket: string;
  /** The role that SageMaker assumes. */
  readonly roleArn: string;
}

/** Where a stage is, with nothing left open. */
export interface StagePlace {
  readonly name: string;
  readonly account: string;
  readonly region: string;
  readonly bucket: string;
  /** The role that SageMaker assumes in the stage's account. */
  readonly roleArn: string;
  /** The role that the worker assumes to reach the stage; null: its own credentials do. */
  readonly role: string | null;
  readonly externalId: string | null;
}

/** What the stage leaves open is the worker's own; a spec that was read has said all that another account needs. */
export const placeOfStage = (stage: StageSpec, home: HomePlace): StagePlace => ({
  name: stage.name,
  account: stage.account,
  region: stage.region ?? home.region,
  bucket: stage.bucket ?? home.bucket,
  roleArn: stage.executionRole ?? home.roleArn,
  role: stage.role ?? null,
  externalId: stage.externalId ?? null,
});

/**
 * A fleet file does not know the worker's bucket, so who has its settings looks. Throws SpecError for a stage elsewhere
 * that names it: a bucket belongs to one account, and what the fleet trains on is in this one.
 */
export function assertOwnBucket(
  { name, account, bucket }: Pick<StageSpec, "name" | "account" | "bucket">,
  home: Pick<HomePlace, "account" | "bucket">,
): void {
  if (account === home.account || bucket !== home.bucket) return;
  throw new SpecError(
    `stage "${name}" is in account ${account}, and its bucket ${home.bucket} is MODELFLEET_BUCKET of the home account ${home.account}`,
    `name a bucket of account ${account}: bucket of the stage "${name}"`,
  );
}

/** The fleet's endpoint as this stage has it. */
export function endpointOfStage<Endpoint extends { readonly kind: string }>(
  endpoint: Endpoint,
  stage: Pick<StageSpec, "instanceType" | "instances"> | undefined,
): Endpoint {
  if (endpoint.kind === "serverless") return endpoint;
  const { instanceType, instances } = stage ?? {};
  return {
    ...endpoint,
    ...(instanceType === undefined ? {} : { instanceType }),
    ...(instances === undefined ? {} : { instances }),
  };
}

/** What of a fleet file concerns its stages. */
interface Parts {
  readonly account?: string | undefined;
  readonly stages: readonly [StageSpec, ...StageSpec[]];
  readonly endpoint: { readonly kind: string };
}

type Issue = (path: readonly (string | number)[], message: string) => void;

/** Tells, with a sentence on why, which stages do not go together. */
export function checkStages(parts: Parts, context: z.RefinementCtx): void {
  const issue: Issue = (path, message) =>
    context.addIssue({ code: "custom", path: [...path], message });
  checkNames(parts, issue);
  checkBuckets(parts, issue);
  checkOrder(parts, issue);
  for (const [index, stage] of parts.stages.entries()) {
    const ofStage: Issue = (path, message) => issue(["stages", index, ...path], message);
    checkAccess(stage, homeAccount(parts), ofStage);
    if (parts.endpoint.kind === "serverless")
      for (const field of ["instanceType", "instances"] as const)
        if (stage[field] !== undefined)
          ofStage([field], "serverlessEndpoint(…) has no instances: leave it out");
  }
}

function checkNames({ stages }: Parts, issue: Issue): void {
  for (const [index, { name }] of stages.entries())
    if (stages.findIndex((other) => other.name === name) < index)
      issue(["stages", index, "name"], `two stages are called "${name}": call one otherwise`);
}

function checkBuckets({ stages }: Parts, issue: Issue): void {
  for (const [index, { bucket, account, region }] of stages.entries()) {
    if (bucket === undefined) continue;
    const before = stages.slice(0, index).filter((stage) => stage.bucket === bucket);
    const elsewhere = before.find((stage) => stage.account !== account);
    if (elsewhere !== undefined)
      issue(
        ["stages", index, "bucket"],
        `${bucket} is the bucket of stage "${elsewhere.name}" in account ${elsewhere.account} too, ` +
          "and a bucket belongs to one account: name another",
      );
    const away = before.find((stage) => (stage.region ?? region) !== (region ?? stage.region));
    if (away !== undefined)
      issue(
        ["stages", index, "bucket"],
        `${bucket} is the bucket of stage "${away.name}" in ${away.region ?? ""} too, and SageMaker loads ` +
          "models from buckets of its own region: name another",
      );
  }
}

/** What nobody has approved may go as far as the first stage that wants an approval. */
function checkOrder({ stages }: Parts, issue: Issue): void {
  const wanting = stages.findIndex(({ approval }) => approval !== "none");
  if (wanting === -1)
    issue(
      ["stages", stages.length - 1, "approval"],
      'no stage wants an approval: "none" is for stages before one that does',
    );
  for (const [index, { approval }] of stages.entries())
    if (approval === "none" && wanting !== -1 && index > wanting)
      issue(
        ["stages", index, "approval"],
        `"none" takes versions that nobody has approved, and stage "${stages[wanting]?.name ?? ""}" before it wants ` +
          "an approval: put it before that one, or leave approval out",
      );
  if (secondsOf(stages[0].lag ?? "0s") > 0)
    issue(["stages", 0, "lag"], "no stage is before the first one: leave lag out");
}

/** Whoever works in another account has to be told as whom, and where. */
function checkAccess(stage: StageSpec, home: string, issue: Issue): void {
  const { account, role, externalId, bucket, executionRole } = stage;
  const isElsewhere = account !== home;
  const needs = (field: string, value: unknown, why: string) => {
    if (isElsewhere && value === undefined)
      issue([field], `is needed, as account ${account} is not the home account ${home}: ${why}`);
  };
  needs("role", role, "the ARN of the role that the worker assumes there");
  needs("bucket", bucket, "where the stage's models are");
  needs("executionRole", executionRole, "the ARN of the role that SageMaker assumes there");
  for (const [field, arn] of Object.entries({ role, executionRole })) {
    const owner = arn?.split(":")[4];
    if (owner !== undefined && owner !== account)
      issue([field], `is of account ${owner}, and the stage is in account ${account}`);
  }
  if (externalId !== undefined && role === undefined)
    issue(["externalId"], "is given to AssumeRole, and no `role` is declared: leave it out");
}
