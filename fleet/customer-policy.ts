/** The IAM policy with which one customer's application may call his models, and nobody else's. */
import { SpecError } from "./errors.js";
import { partitionOf, policyDocument, type PolicyDocument } from "./policy-document.js";

export interface CustomerAccess {
  readonly endpointArn: string;
  /** What InvokeEndpoint may be called with, exact or ending in `*`; null where the endpoint has one model only. */
  readonly targetModels: readonly string[] | null;
}

/**
 * Without a condition key in the request (a call that names no model) StringLike does not match: nothing is allowed.
 * https://docs.aws.amazon.com/sagemaker/latest/dg/multi-model-endpoint-security.html
 */
export function customerPolicy({ endpointArn, targetModels }: CustomerAccess): PolicyDocument {
  const statement = {
    Sid: "InvokeOwnModels",
    Effect: "Allow",
    Action: "sagemaker:InvokeEndpoint",
    Resource: endpointArn,
  } as const;
  if (targetModels === null) return policyDocument(statement);
  const Condition = { StringLike: { "sagemaker:TargetModel": targetModels } };
  return policyDocument({ ...statement, Condition });
}

/** A key has no characters that a pattern obeys: see its test. */
export const ownTargetModels = (customerKey: string, naming: "versioned" | "stable"): string =>
  naming === "stable" ? `${customerKey}.tar.gz` : `${customerKey}/*`;

/** A folder of models that several customers may call. Throws SpecError for what would let in more than a folder. */
export function sharedTargetModels(prefix: string): string {
  const folder = prefix.replace(/\/\*?$/, "");
  if (/^[A-Za-z0-9._-]+(\/[A-Za-z0-9._-]+)*$/.test(folder) && !/(^|\/)\.\.?(\/|$)/.test(folder))
    return `${folder}/*`;
  throw new SpecError(
    `"${prefix}" is no folder of models that a policy may name`,
    "give a folder below the endpoint's models, such as shared: no wildcards, no ..",
  );
}

/** SageMaker writes the names of endpoints into their ARNs in lower case; ours are. */
export const endpointArn = (o: {
  readonly region: string;
  readonly account: string;
  readonly endpointName: string;
}): string =>
  `arn:${partitionOf(o.region)}:sagemaker:${o.region}:${o.account}:endpoint/${o.endpointName}`;
