/**
 * Watches the AWS calls of a test file: those that activities make in its own process, and those of every command and
 * worker that it starts (test/record-aws-calls.mjs). One that the policies of `modelfleet iam` do not allow fails the
 * file. That nothing in them is of no use, test/fleet/worker-policy.test.ts and user-policy.test.ts look up in the sources.
 */
import { existsSync, readFileSync, rmSync } from "node:fs";
import { Client } from "@smithy/core/client";
import { Context } from "@temporalio/activity";
import { afterAll, expect } from "vitest";
import { parsePolicy, isPermitted, type Policy } from "../local/sagemaker/iam-policy.js";
import { stageUserPolicy, userPolicy } from "../fleet/user-policy.js";
import { stagePolicy, workerPolicy } from "../fleet/worker-policy.js";
import { rightsFor, type AwsCall, type Wanted } from "./aws-rights.js";
import { recordedCalls } from "./watched-process.js";

/** Whose credentials a call was made with, and by which program. */
type Caller = "worker" | "worker in a stage" | "user" | "user in a stage";

const wanted = new Map<string, Wanted & { readonly caller: Caller }>();

const send = Client.prototype.send;
Client.prototype.send = function (this: unknown, command: unknown, ...rest: unknown[]) {
  if (isInActivity()) want("worker", callOf(this as Sender, command as Command));
  return Reflect.apply(send, this, [command, ...rest]) as unknown;
} as typeof send;

interface Sender {
  readonly config: { readonly serviceId?: string };
}

interface Command {
  readonly input: AwsCall["input"];
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

const callOf = ({ config }: Sender, { input, constructor }: Command): AwsCall => ({
  service: config.serviceId,
  operation: constructor.name.replace(/Command$/, ""),
  input,
});

function want(caller: Caller, call: AwsCall): void {
  for (const one of rightsFor(call))
    wanted.set(`${caller} ${one.action} ${one.resource}`, { ...one, caller });
}

afterAll(() => {
  if (existsSync(recordedCalls)) {
    const lines = readFileSync(recordedCalls, "utf8").split("\n");
    rmSync(recordedCalls);
    for (const line of lines.filter((one) => one !== "")) {
      const { caller, ...call } = JSON.parse(line) as AwsCall & { readonly caller: Caller };
      want(caller, call);
    }
  }
  const refused = [...wanted.values()].filter((one) => !isAllowed(one));
  expect(refused, "calls that the policies of `modelfleet iam` do not allow").toEqual([]);
});

/** The fleets and buckets of tests have all kinds of names: what is checked is how resources are named after them. */
const scope = {
  account: "*",
  region: "*",
  bucket: "*",
  roleArn: "arn:aws:iam::*:role/*",
  stageRoles: ["arn:aws:iam::*:role/*"],
  secrets: ["arn:aws:secretsmanager:*:*:secret:*"],
  fleets: [{ name: "*", stages: ["*"] }],
};
const apart = [{ ...scope, bucket: "?*" }];
const policies: Readonly<Record<Caller, Policy>> = {
  worker: parsePolicy(workerPolicy(scope)),
  "worker in a stage": parsePolicy(stagePolicy({ ...scope, homeBucket: "?*" })),
  user: parsePolicy(userPolicy({ ...scope, apart, mayChange: true })),
  "user in a stage": parsePolicy(stageUserPolicy({ ...scope, mayChange: true })),
};

function isAllowed({
  caller,
  action,
  resource,
  context = {} as never,
}: Wanted & { caller: Caller }) {
  return isPermitted([policies[caller]], { action, resource, context });
}
