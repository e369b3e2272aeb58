/** IAM policies for fleets as their files declare them: of the worker, of SageMaker's jobs and endpoints, of approvers. */
import { containerImage } from "../fleet/images.js";
import { partitionOf, type PolicyDocument } from "../fleet/policy-document.js";
import { approverPolicy, executionRolePolicy, executionRoleTrust } from "../fleet/role-policies.js";
import type { FleetSpec } from "../fleet/spec.schema.js";
import { homeAccount, placeOfStage, type HomePlace } from "../fleet/stages.js";
import { stageUserPolicy, userPolicy } from "../fleet/user-policy.js";
import {
  stagePolicy,
  workerPolicy,
  type PolicyPlace,
  type WorkerScope,
} from "../fleet/worker-policy.js";
import { parseReference } from "../settings/secrets-manager.js";
import { ClientError } from "./errors.js";
import { loadFleetFile } from "./fleet-file.js";
import { setting, type Environment } from "./settings.js";

export type PolicyKind = "worker" | "execution-role" | "execution-role-trust" | "approver" | "user";

export interface PolicyWish {
  readonly kind: PolicyKind;
  readonly files: readonly string[];
  /** Of `worker` and `user`: the role that is assumed for this stage. Of `execution-role`: the stage's own. Else the home account's. */
  readonly stage?: string | undefined;
  /** Of `user`: to change what `modelfleet accounts apply` changes. */
  readonly mayChange?: boolean;
}

/**
 * What `kind` needs for all the fleets together. Throws FleetFileInvalid for a file, ClientError for fleets of
 * several accounts, for a stage that is not there or needs no role, and for a setting that is missing.
 */
export async function fleetPolicy(
  environment: Environment,
  { kind, files, stage, mayChange = false }: PolicyWish,
): Promise<PolicyDocument> {
  const home = homeOf(environment);
  const specs: FleetSpec[] = [];
  for (const file of files)
    specs.push((await loadFleetFile(file, () => Promise.resolve(home.account))).spec);
  const scope = stage === undefined ? homeScope(specs, home) : stageScope(specs, home, stage);
  const atHome = (): WorkerScope => ({
    ...scope,
    apart: placesApart(specs, home),
    stageRoles: rolesOf(specs),
    secrets: secretsOf(environment, home),
  });
  switch (kind) {
    case "worker":
      return stage === undefined
        ? workerPolicy(atHome())
        : stagePolicy({ ...scope, homeBucket: home.bucket });
    case "user":
      return stage === undefined
        ? userPolicy({ ...atHome(), mayChange })
        : stageUserPolicy({ ...scope, mayChange });
    case "execution-role":
      return executionRolePolicy({
        ...scope,
        images: specs.flatMap((spec) => imagesOf(spec, scope.region)),
      });
    case "execution-role-trust":
      return executionRoleTrust(scope);
    case "approver":
      return approverPolicy(scope);
  }
}

/** By the worker's settings: jobs take a role of the account that they run in. */
function homeOf(environment: Environment): HomePlace {
  const roleArn = setting(environment, "MODELFLEET_ROLE_ARN");
  return {
    account: roleArn.split(":")[4] ?? "",
    region: setting(environment, "AWS_REGION"),
    bucket: setting(environment, "MODELFLEET_BUCKET"),
    roleArn,
  };
}

/** What the worker does with its own credentials. */
function homeScope(specs: readonly FleetSpec[], home: HomePlace): PolicyPlace {
  const elsewhere = specs.find((spec) => homeAccount(spec) !== home.account);
  if (elsewhere !== undefined)
    throw new ClientError(
      `fleet "${elsewhere.name}" is trained in account ${homeAccount(elsewhere)}, MODELFLEET_ROLE_ARN is of ${home.account}`,
      "give the fleet files of that account, with the settings of its worker",
    );
  const fleets = specs.map((spec) => ({
    name: spec.name,
    stages: ownStages(spec).map(({ name }) => name),
  }));
  return { ...home, fleets };
}

/** Stages in the home account whose region, bucket or execution role is not the worker's. */
function placesApart(specs: readonly FleetSpec[], home: HomePlace): PolicyPlace[] {
  return specs.flatMap((spec) =>
    ownStages(spec)
      .filter(
        (stage) =>
          (stage.region ?? home.region) !== home.region ||
          (stage.bucket ?? home.bucket) !== home.bucket ||
          (stage.executionRole ?? home.roleArn) !== home.roleArn,
      )
      .map((stage) => {
        const { account, region, bucket, roleArn } = placeOfStage(stage, home);
        const fleets = [{ name: spec.name, stages: [stage.name] }];
        return { account, region, bucket, roleArn, fleets };
      }),
  );
}

const ownStages = ({ stages }: FleetSpec) => stages.filter(({ role }) => role === undefined);

/**
 * ARNs of what the settings `…_SECRET` refer to. A name stands for an ARN that ends in six characters of Secrets
 * Manager's own, which nobody knows beforehand.
 * https://docs.aws.amazon.com/secretsmanager/latest/userguide/auth-and-access_iam-policies.html
 */
const secretsOf = (environment: Environment, { account, region }: HomePlace): string[] =>
  Object.entries(environment)
    .filter(([name]) => name.endsWith("_SECRET"))
    .flatMap(([, text = ""]) => parseReference(text, region)?.id ?? [])
    .map((id) =>
      id.startsWith("arn:")
        ? id
        : `arn:${partitionOf(region)}:secretsmanager:${region}:${account}:secret:${id}-??????`,
    )
    .sort();

/** What is done in a stage that is reached by a role. */
function stageScope(specs: readonly FleetSpec[], home: HomePlace, named: string): PolicyPlace {
  const places = specs.map(({ name, stages }) => {
    const stage = stages.find((one) => one.name === named);
    if (stage?.role !== undefined) return placeOfStage(stage, home);
    throw new ClientError(
      stage === undefined
        ? `fleet "${name}" has no stage "${named}"`
        : `stage "${named}" of fleet "${name}" names no role: the worker's own credentials serve it`,
      stage === undefined
        ? `it has ${stages.map((one) => one.name).join(", ")}`
        : "leave out --stage: what it needs there is in the worker's own policy",
    );
  });
  const [place, other] = new Map(places.map((one) => [`${one.role} ${one.bucket}`, one])).values();
  if (place === undefined || other !== undefined)
    throw new ClientError(
      `these fleets reach stage "${named}" by several roles or buckets, and a policy belongs to one role`,
      "give the fleet files of one role at a time",
    );
  const { account, region, bucket, roleArn } = place;
  return {
    ...{ account, region, bucket, roleArn },
    fleets: specs.map(({ name }) => ({ name, stages: [named] })),
  };
}

const rolesOf = (specs: readonly FleetSpec[]): string[] =>
  [...new Set(specs.flatMap(({ stages }) => stages.flatMap(({ role }) => role ?? [])))].sort();

function imagesOf({ training, preparation }: FleetSpec, region: string): string[] {
  const preprocessor = training.kind === "pipeline" ? [training.preprocessor] : [];
  const prepared = preparation === undefined ? [] : [preparation];
  return [training, ...preprocessor, ...prepared].map((one) => containerImage(one, region));
}
