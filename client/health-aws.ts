/** Checks the AWS side, real or local: bucket, SageMaker, whose credentials these are, the role. */
import type { Connections } from "./connections.js";
import { REACH_TIMEOUT_MS } from "./connections.js";
import { ClientError, messageOf } from "./errors.js";
import { checkExecutionRole } from "./execution-role.js";
import type { Check } from "./health-check.js";
import { askLedger } from "./ledger.js";
import { setting } from "./settings.js";

const quick = {
  maxAttempts: 1,
  requestHandler: { connectionTimeout: REACH_TIMEOUT_MS, requestTimeout: REACH_TIMEOUT_MS },
};

export async function checkBucket(connections: Connections): Promise<Check[]> {
  const { HeadBucketCommand, GetBucketVersioningCommand } = await import("@aws-sdk/client-s3");
  const s3 = await connections.s3();
  const Bucket = setting(connections.environment, "MODELFLEET_BUCKET");
  await s3.send(new HeadBucketCommand({ Bucket })).catch((error: unknown) => {
    throw unreachable(connections, "S3", `bucket ${Bucket}`, error);
  });
  const { Status } = await s3.send(new GetBucketVersioningCommand({ Bucket }));
  if (Status === "Enabled") return [{ part: "s3", state: "ok", found: `${Bucket}, versioned` }];
  return [
    {
      part: "s3",
      state: "problem",
      found: `bucket ${Bucket} keeps no versions`,
      mend: `aws s3api put-bucket-versioning --bucket ${Bucket} --versioning-configuration Status=Enabled`,
    },
  ];
}

export async function checkSageMaker(connections: Connections): Promise<Check[]> {
  const { SageMakerClient, ListTrainingJobsCommand } = await import("@aws-sdk/client-sagemaker");
  const region = setting(connections.environment, "AWS_REGION");
  const client = new SageMakerClient({ region, ...quick });
  try {
    await client.send(new ListTrainingJobsCommand({ MaxResults: 1 }));
    const place = connections.environment.AWS_ENDPOINT_URL_SAGEMAKER ?? `SageMaker in ${region}`;
    return [{ part: "sagemaker", state: "ok", found: place }];
  } catch (error) {
    throw unreachable(connections, "SageMaker", `region ${region}`, error);
  } finally {
    client.destroy();
  }
}

export async function checkIdentity(connections: Connections): Promise<Check[]> {
  const account = await callerAccount(connections);
  const rows = await askLedger<{ account: string | null; fleet: string }>(
    connections,
    `select distinct on (fleet) fleet, coalesce(spec ->> 'account', spec #>> '{stages,0,account}') as account
       from fleet_specs order by fleet, created_at desc`,
  ).catch(() => []);
  const others = rows.filter((row) => row.account !== null && row.account !== account);
  if (others.length === 0) return [{ part: "aws account", state: "ok", found: account }];
  const named = others.map((row) => `${row.fleet} is declared for ${row.account ?? ""}`).join(", ");
  return [
    {
      part: "aws account",
      state: "problem",
      found: `the credentials are of ${account}, but ${named}`,
      mend: "use that account's credentials, or correct stages[0].account in the fleet file",
    },
  ];
}

export async function checkRole(connections: Connections): Promise<Check[]> {
  const arn = setting(connections.environment, "MODELFLEET_ROLE_ARN");
  const owner = /^arn:aws[a-z-]*:iam::(\d{12}):role\/.+$/.exec(arn)?.[1];
  if (owner === undefined) {
    throw new ClientError(
      `MODELFLEET_ROLE_ARN is "${arn}", which is no role's ARN`,
      "set it to arn:aws:iam::ACCOUNT:role/NAME",
    );
  }
  const account = await callerAccount(connections);
  if (owner === account) {
    const region = setting(connections.environment, "AWS_REGION");
    return [{ part: "role", ...(await checkExecutionRole(arn, { region })) }];
  }
  throw new ClientError(
    `the role ${arn} belongs to account ${owner}, the credentials to ${account}`,
    "jobs take a role of their own account: correct MODELFLEET_ROLE_ARN",
  );
}

/** The AWS account that a command's credentials belong to. */
export async function callerAccount(connections: Connections): Promise<string> {
  const { STSClient, GetCallerIdentityCommand } = await import("@aws-sdk/client-sts");
  const client = new STSClient({
    region: setting(connections.environment, "AWS_REGION"),
    ...quick,
  });
  try {
    const { Account } = await client.send(new GetCallerIdentityCommand({}));
    return Account ?? "unknown";
  } catch (error) {
    throw unreachable(connections, "STS", "GetCallerIdentity", error);
  } finally {
    client.destroy();
  }
}

function unreachable(
  connections: Connections,
  service: string,
  what: string,
  error: unknown,
): ClientError {
  const name = error instanceof Error ? error.name : "";
  const endpoint = connections.environment[`AWS_ENDPOINT_URL_${service.toUpperCase()}`];
  const where = endpoint === undefined ? "" : ` at ${endpoint}`;
  const said = [name, messageOf(error)].filter((part) => part !== "" && part !== "Error");
  return new ClientError(
    `${service}${where} refused (${what}): ${[...new Set(said)].join(": ")}`,
    endpoint === undefined ? "check your AWS credentials and region" : "modelfleet local up",
    { cause: error },
  );
}
