/** Opens a stage's account for a command, by the stage's role. */
import type { S3Client } from "@aws-sdk/client-s3";
import type { STSClientConfig } from "@aws-sdk/client-sts";
import type { StageSpec } from "../fleet/spec.schema.js";
import { REACH_TIMEOUT_MS, type Connections } from "./connections.js";
import { ClientError, messageOf } from "./errors.js";
import { askLedger } from "./ledger.js";
import { setting } from "./settings.js";

const impatient = {
  maxAttempts: 2,
  requestHandler: { connectionTimeout: REACH_TIMEOUT_MS, requestTimeout: 30_000 },
};

type StageCredentials = Awaited<ReturnType<typeof assume>>;

const reached = new WeakMap<Connections, Map<string, Connections>>();

/**
 * The connections with AWS as the stage of the fleet's newest cycle is reached: by its role, in its region. The same as given
 * when it has neither. Their calls throw ClientError when the role may not be assumed, or is not of the stage's account.
 */
export async function reachStage(
  connections: Connections,
  place: { readonly fleet: string; readonly stage: string },
): Promise<Connections> {
  const stage = await findStageSpec(connections, place);
  if (stage === undefined || (stage.role === undefined && stage.region === undefined))
    return connections;
  const known = reached.get(connections) ?? new Map<string, Connections>();
  reached.set(connections, known);
  const id = JSON.stringify(stage);
  const { role, region = setting(connections.environment, "AWS_REGION") } = stage;
  const there =
    known.get(id) ??
    connections.as({ region, ...(role && { credentials: () => assume(stage, role, region) }) });
  known.set(id, there);
  return there;
}

/** As the newest cycle of the fleet that has it declares it. */
export async function findStageSpec(
  connections: Connections,
  { fleet, stage }: { readonly fleet: string; readonly stage: string },
): Promise<StageSpec | undefined> {
  const [row] = await askLedger<{ stage: StageSpec }>(
    connections,
    `select t as stage
       from cycles c join fleet_specs s using (fleet, spec_hash), jsonb_array_elements(s.spec -> 'stages') t
      where c.fleet = $1 and t ->> 'name' = $2 order by c.cycle desc limit 1`,
    [fleet, stage],
  );
  return row?.stage;
}

export interface OpenStage {
  readonly region: string;
  readonly s3: S3Client;
  /** Undefined: those of the environment. */
  readonly credentials: StageCredentials | undefined;
  readonly close: () => void;
}

/** Throws ClientError when the role may not be assumed, or is not of the account that the stage names. */
export async function openStage(
  connections: Connections,
  stage: StageSpec,
  home: string,
): Promise<OpenStage> {
  const region = stage.region ?? setting(connections.environment, "AWS_REGION");
  const { S3Client } = await import("@aws-sdk/client-s3");
  if (stage.role === undefined && stage.account !== home)
    throw new ClientError(
      `stage "${stage.name}" is in account ${stage.account}, your credentials are of ${home}`,
      `name the role to assume there: role of the stage "${stage.name}"`,
    );
  const credentials =
    stage.role === undefined ? undefined : await assume(stage, stage.role, region);
  const client = new S3Client({
    region,
    forcePathStyle: true,
    ...impatient,
    ...(credentials !== undefined && { credentials }),
  });
  return { region, s3: client, credentials, close: () => client.destroy() };
}

export async function callerAccount(
  region: string,
  credentials?: STSClientConfig["credentials"] & {},
): Promise<string> {
  const { STSClient, GetCallerIdentityCommand } = await import("@aws-sdk/client-sts");
  const sts = new STSClient({ region, ...impatient, ...(credentials && { credentials }) });
  try {
    const { Account } = await sts.send(new GetCallerIdentityCommand({}));
    return Account ?? "unknown";
  } finally {
    sts.destroy();
  }
}

async function assume({ name, account, externalId }: StageSpec, role: string, region: string) {
  const { STSClient, AssumeRoleCommand } = await import("@aws-sdk/client-sts");
  const sts = new STSClient({ region, ...impatient });
  try {
    const { Credentials: given } = await sts.send(
      new AssumeRoleCommand({
        RoleArn: role,
        RoleSessionName: "modelfleet-command",
        ...(externalId !== undefined && { ExternalId: externalId }),
      }),
    );
    const credentials = {
      accessKeyId: given?.AccessKeyId ?? "",
      secretAccessKey: given?.SecretAccessKey ?? "",
      sessionToken: given?.SessionToken ?? "",
      ...(given?.Expiration && { expiration: given.Expiration }),
    };
    const actual = await callerAccount(region, credentials);
    if (actual === account) return credentials;
    throw new ClientError(
      `stage "${name}" is in account ${account}, but the role ${role} is of ${actual}`,
      `correct account or role of the stage "${name}"`,
    );
  } catch (error) {
    if (!(error instanceof Error) || error.name !== "AccessDenied") throw error;
    throw new ClientError(
      `the role ${role} of stage "${name}" may not be assumed: ${messageOf(error)}`,
      `the role must exist in ${account}, and its trust policy must allow you sts:AssumeRole` +
        (externalId === undefined ? "" : ` with the external id "${externalId}"`),
      { cause: error },
    );
  } finally {
    sts.destroy();
  }
}
