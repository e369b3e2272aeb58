/** Looks whether the role is there that jobs and endpoints assume, and whether SageMaker may assume it. */
import type { IAMClientConfig } from "@aws-sdk/client-iam";
import { trustProblem } from "../fleet/role-trust.js";
import { REACH_TIMEOUT_MS } from "./connections.js";
import type { Check } from "./health-check.js";

export interface RoleAccess {
  readonly region: string;
  /** By default those of the environment. */
  readonly credentials?: NonNullable<IAMClientConfig["credentials"]>;
}

/** `note`: it could not be looked at. */
export type RoleCheck = Pick<Check, "state" | "found" | "mend">;

/** Never rejects: who may not ask IAM is told so, and may do all else. */
export async function checkExecutionRole(
  roleArn: string,
  { region, credentials }: RoleAccess,
): Promise<RoleCheck> {
  const { IAMClient, GetRoleCommand } = await import("@aws-sdk/client-iam");
  const iam = new IAMClient({
    region,
    maxAttempts: 1,
    requestHandler: { connectionTimeout: REACH_TIMEOUT_MS, requestTimeout: REACH_TIMEOUT_MS },
    ...(credentials !== undefined && { credentials }),
  });
  const [, , , , account = "", path = ""] = roleArn.split(":");
  try {
    // IAM knows a role by what stands after its path.
    const { Role } = await iam.send(new GetRoleCommand({ RoleName: path.split("/").at(-1) }));
    if (Role?.Arn !== undefined && Role.Arn !== roleArn)
      return {
        state: "problem",
        found: `the role ${roleArn} is not there: there is ${Role.Arn}`,
        mend: "correct the path in the role's ARN",
      };
    const wrong = trustProblem(decodeURIComponent(Role?.AssumeRolePolicyDocument ?? ""), account);
    if (wrong === undefined) return { state: "ok", found: roleArn };
    return {
      state: "problem",
      found: `the role ${roleArn} ${wrong}`,
      mend: "give it the trust policy that modelfleet iam execution-role FLEET.ts --trust prints",
    };
  } catch (error) {
    return unanswered(roleArn, error instanceof Error ? error.name : "");
  } finally {
    iam.destroy();
  }
}

function unanswered(roleArn: string, name: string): RoleCheck {
  if (/^NoSuchEntity/.test(name))
    return {
      state: "problem",
      found: `the role ${roleArn} is not there`,
      mend: "make it: modelfleet iam execution-role FLEET.ts prints what it may do, with --trust who may assume it",
    };
  return {
    state: "note",
    found: `whether the role ${roleArn} is there could not be looked at: IAM says ${name || "nothing"}`,
    mend: "allow iam:GetRole on it (modelfleet iam user-policy FLEET.ts prints that), or look in IAM yourself",
  };
}
