/** Which rights a call of AWS needs: IAM's name of the action, and the resource, from what the SDK was given. */
import { requiredResources } from "../local/sagemaker/required-resources.js";

export interface Wanted {
  readonly action: string;
  readonly resource: string;
  readonly context?: Readonly<Record<"iam:PassedToService", string>>;
}

export type Input = Readonly<Record<string, unknown>>;

export interface AwsCall {
  /** The SDK's id of the service, such as S3 or SageMaker. */
  readonly service: string | undefined;
  readonly operation: string;
  readonly input: Input;
}

const scope = { account: "111111111111", region: "us-east-1" };
const SAGEMAKER = "sagemaker.amazonaws.com";

export function rightsFor({ service, operation, input }: AwsCall): Wanted[] {
  switch (service) {
    case "S3":
      return s3(operation, input);
    case "STS":
      // Who he is may be asked by everybody.
      if (operation === "GetCallerIdentity") return [];
      return [{ action: `sts:${operation}`, resource: textOf(input["RoleArn"]) }];
    case "IAM":
      return [
        {
          action: `iam:${operation}`,
          resource: `arn:aws:iam::*:role/${textOf(input["RoleName"])}`,
        },
      ];
    case "CloudWatch":
      return [{ action: `cloudwatch:${operation}`, resource: "*" }];
    case "Secrets Manager":
      return [
        { action: `secretsmanager:${operation}`, resource: secret(textOf(input["SecretId"])) },
      ];
    default:
      return sagemaker(operation, input);
  }
}

/** Secrets Manager closes a secret's ARN with six characters of its own. */
const secret = (id: string): string =>
  id.startsWith("arn:")
    ? id
    : `arn:aws:secretsmanager:${scope.region}:${scope.account}:secret:${id}-AbCdEf`;

/** S3 has other names for rights than for operations: S3 User Guide, using-with-s3-policy-actions. */
const S3_ACTIONS: Readonly<Record<string, string>> = {
  AbortMultipartUpload: "AbortMultipartUpload",
  CompleteMultipartUpload: "PutObject",
  CopyObject: "PutObject",
  CreateMultipartUpload: "PutObject",
  DeleteObject: "DeleteObject",
  DeleteObjects: "DeleteObject",
  GetObject: "GetObject",
  GetPublicAccessBlock: "GetBucketPublicAccessBlock",
  HeadBucket: "ListBucket",
  HeadObject: "GetObject",
  ListObjectsV2: "ListBucket",
  PutObject: "PutObject",
  PutPublicAccessBlock: "PutBucketPublicAccessBlock",
  UploadPart: "PutObject",
};

function s3(operation: string, input: Input): Wanted[] {
  const bucket = `arn:aws:s3:::${textOf(input["Bucket"])}`;
  const action = `s3:${S3_ACTIONS[operation] ?? operation}`;
  const keys = [input["Key"], ...deleted(input["Delete"])].filter((key) => key !== undefined);
  if (keys.length === 0) return [{ action, resource: bucket }];
  const own = keys.map((key) => ({ action, resource: `${bucket}/${textOf(key)}` }));
  if (typeof input["CopySource"] !== "string") return own;
  const source = decodeURIComponent(input["CopySource"]).replace(/^\//, "");
  return [...own, { action: "s3:GetObject", resource: `arn:aws:s3:::${source}` }];
}

function deleted(request: unknown): unknown[] {
  const objects = (request as { Objects?: readonly { Key?: string }[] } | undefined)?.Objects ?? [];
  return objects.map(({ Key }) => Key);
}

function sagemaker(operation: string, input: Input): Wanted[] {
  // The first that it names is what it is about.
  const named = Object.keys(input).find((member) => member.endsWith("Name"));
  const required = named === undefined ? Object.keys(input).slice(0, 1) : [named];
  const resources = requiredResources({ ...scope, operation } as never, {
    operation,
    required,
    input,
  });
  const tagged = operation.startsWith("Create") && input["Tags"] !== undefined;
  const actions = tagged ? [operation, "AddTags"] : [operation];
  const own = resources.flatMap((resource) =>
    actions.map((action) => ({ action: `sagemaker:${action}`, resource })),
  );
  const role = findRole(input);
  if (role === undefined) return own;
  const context = { "iam:PassedToService": SAGEMAKER };
  return [...own, { action: "iam:PassRole", resource: role, context }];
}

const findRole = (input: Input): string | undefined =>
  [input, input["TrainingJobDefinition"] as Input | undefined]
    .flatMap((one) => [one?.["RoleArn"], one?.["ExecutionRoleArn"]])
    .find((role) => typeof role === "string");

const textOf = (value: unknown): string => (typeof value === "string" ? value : "");
