/** An IAM policy, as `aws iam create-policy --policy-document` takes it. */

export interface PolicyDocument {
  readonly Version: "2012-10-17";
  readonly Statement: readonly PolicyStatement[];
}

export interface PolicyStatement {
  readonly Sid: string;
  readonly Effect: "Allow";
  /** Only in the trust policy of a role. */
  readonly Principal?: { readonly Service: string };
  readonly Action: string | readonly string[];
  /** Not in a trust policy, which is about the role that it belongs to. */
  readonly Resource?: string | readonly string[];
  readonly Condition?: Readonly<
    Record<string, Readonly<Record<string, string | readonly string[]>>>
  >;
}

export const policyDocument = (...statements: readonly PolicyStatement[]): PolicyDocument => ({
  Version: "2012-10-17",
  Statement: statements,
});

/** What IAM allows a managed policy to hold, without its white space. IAM User Guide, reference_iam-quotas. */
export const MANAGED_POLICY_CHARACTERS = 6144;

/** How many characters IAM counts. */
export const policySize = (policy: PolicyDocument): number =>
  JSON.stringify(policy).replaceAll(/\s/g, "").length;

/** What ARNs of a region begin with beside `arn:`. */
export const partitionOf = (region: string): string =>
  region.startsWith("cn-") ? "aws-cn" : region.startsWith("us-gov-") ? "aws-us-gov" : "aws";
