/** Which resources an operation of the control plane is about: what a policy's Resource must cover. */
import { arnOf, keyOf } from "./arns.js";
import type { Kind, Scope } from "./arns.js";
import { isList } from "./json.js";
import type { Members } from "./json.js";

export interface ControlPlaneRequest {
  readonly operation: string;
  /** Members that the operation's shape requires, in its order. */
  readonly required: readonly string[];
  readonly input: Members;
}

/** `*` for what is about no resource of its own, such as most lists. */
export function requiredResources(
  scope: Scope,
  { operation, required, input }: ControlPlaneRequest,
): string[] {
  // AWS, Service Authorization Reference: an endpoint comes with the right to use its configuration.
  const besides = /^(Create|Update)Endpoint$/.test(operation) ? ["EndpointConfigName"] : [];
  const members = new Set([...required.slice(0, 1), ...packageMembers, ...besides]);
  const arns = [...members].flatMap((member) => arnsOf(scope, member, input[member]));
  return arns.length === 0 ? ["*"] : arns;
}

/** The registry's operations name a group or a version, and require neither. */
const packageMembers = ["ModelPackageGroupName", "ModelPackageName"];

function arnsOf(scope: Scope, member: string, value: unknown): string[] {
  if (member.endsWith("ArnList") && isList(value))
    return value.filter((each) => typeof each === "string");
  if (typeof value !== "string") return [];
  if (member.endsWith("Arn")) return [value];
  if (!member.endsWith("Name")) return [];
  // TrainingJobName is the name of a training-job, and so with all kinds.
  const words = member.slice(0, -"Name".length).match(/[A-Z][a-z]+/g) ?? [];
  const kind = words.join("-").toLowerCase() as Kind;
  return [arnOf(keyOf(scope, kind, value))];
}
