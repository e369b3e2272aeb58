/**
 * Watches every AWS call that an activity makes in a test, and holds it against the policy that
 * `modelfleet iam worker-policy` prints: a call that the policy does not allow fails the test file. That nothing in it is
 * of no use, test/fleet/worker-policy.test.ts looks up in the sources.
 */
import { Client } from "@smithy/core/client";
import { Context } from "@temporalio/activity";
import { afterAll, expect } from "vitest";
import { isPermitted, parsePolicy } from "../local/sagemaker/iam-policy.js";
import { requiredResources } from "../local/sagemaker/required-resources.js";
import { workerPolicy } from "../fleet/worker-policy.js";

interface Wanted {
  readonly action: string;
  readonly resource: string;
  readonly context?: Readonly<Record<"iam:PassedToService", string>>;
}

type Input = Readonly<Record<string, unknown>>;

const scope = { account: "111111111111", region: "us-east-1" };
const SAGEMAKER = "sagemaker.amazonaws.com";
const wanted = new Map<string, Wanted>();

const send = Client.prototype.send;
Client.prototype.send = function (this: unknown, command: unknown, ...rest: unknown[]) {
  if (isInActivity()) record(this as Sender, command as Command);
  return Reflect.apply(send, this, [command, ...rest]) as unknown;
} as typeof send;

interface Sender {
  readonly config: { readonly serviceId?: string };
}

interface Command {
  readonly input: Input;
  readonly constructor: { readonly name: string };
}

function isInActivity(): boolean {
  try {
    Context.current();
    return true;
  } catch {
    return false;
  }
}

function record({ config }: Sender, { input, constructor }: Command): void {
  const operation = constructor.name.replace(/Command$/, "");
  for (const one of rightsFor(config.serviceId, operation, input))
    wanted.set(`${one.action} ${one.resource}`, one);
}

function rightsFor(service: string | undefined, operation: string, input: Input): Wanted[] {
  if (service === "S3") return s3(operation, input);
  if (service !== "STS") return sagemaker(operation, input);
  // Who he is may be asked by everybody.
  if (operation === "GetCallerIdentity") return [];
  return [{ action: `sts:${operation}`, resource: textOf(input["RoleArn"]) }];
}

/** S3 has other names for rights than for operations: S3 User Guide, using-with-s3-policy-actions. */
const S3_ACTIONS: Readonly<Record<string, string>> = {
  AbortMultipartUpload: "AbortMultipartUpload",
  CompleteMultipartUpload: "PutObject",
  CopyObject: "PutObject",
  CreateMultipartUpload: "PutObject",
  DeleteObject: "DeleteObject",
  DeleteObjects: "DeleteObject",
  GetObject: "GetObject",
  HeadObject: "GetObject",
  PutObject: "PutObject",
  UploadPart: "PutObject",
};

function s3(operation: string, input: Input): Wanted[] {
  const bucket = `arn:aws:s3:::${textOf(input["Bucket"])}`;
  if (operation === "ListObjectsV2") return [{ action: "s3:ListBucket", resource: bucket }];
  const keys = [input["Key"], ...deleted(input["Delete"])].filter((key) => key !== undefined);
  const action = `s3:${S3_ACTIONS[operation] ?? operation}`;
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

afterAll(() => {
  const refused = [...wanted.values()].filter((one) => !isAllowed(one));
  expect(refused, "calls that `modelfleet iam worker-policy` does not allow").toEqual([]);
});

/** The fleets and buckets of tests have all kinds of names: what is checked is how resources are named after them. */
function isAllowed({ action, resource, context = {} as never }: Wanted): boolean {
  const policy = workerPolicy({
    ...scope,
    bucket: "*",
    roleArn: "arn:aws:iam::*:role/*",
    stageRoles: ["arn:aws:iam::*:role/*"],
    fleets: [{ name: "*", stages: ["*"] }],
  });
  return isPermitted([parsePolicy(policy)], { action, resource, context });
}
