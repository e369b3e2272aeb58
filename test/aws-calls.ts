/**
 * Watches the AWS calls of a test file: those that activities make in its own process, and those of every command and
 * worker that it starts (test/record-aws-calls.mjs). One that the policies of `modelfleet iam` do not allow fails the
 * file. A right that no call of any file has used fails the run (test/unused-rights.ts).
 */
import { appendFileSync, existsSync, readFileSync, rmSync } from "node:fs";
import { Client } from "@smithy/core/client";
import { Context } from "@temporalio/activity";
import { afterAll, expect } from "vitest";
import { parsePolicy, isPermitted } from "../local/sagemaker/iam-policy.js";
import { rightsFor, type AwsCall, type Wanted } from "./aws-rights.js";
import { POLICIES, type Caller } from "./callers.js";
import { rightOf, rightsFile } from "./unused-rights.js";
import { recordedCalls } from "./watched-process.js";

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
  const used = new Set(
    [...wanted.values()].map(({ caller, action }) => `${rightOf(caller, action)}\n`),
  );
  if (rightsFile !== undefined) appendFileSync(rightsFile, [...used].join(""));
  const refused = [...wanted.values()].filter((one) => !isAllowed(one));
  expect(refused, "calls that the policies of `modelfleet iam` do not allow").toEqual([]);
});

function isAllowed({
  caller,
  action,
  resource,
  context = {} as never,
}: Wanted & { caller: Caller }) {
  return isPermitted([parsePolicy(POLICIES[caller])], { action, resource, context });
}
