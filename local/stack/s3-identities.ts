/** Who is who at the S3 gateway: its static users, and what a session of each account may do. */
import { accountPolicyName, SESSION_ISSUER } from "../sagemaker/session-credentials.js";
import { ACCOUNT, bucketPrefix, type StackAccount } from "./accounts.js";
import type { KeyPair } from "./stack-file.js";

export interface S3Identities {
  /** Beside the stack's own. */
  readonly accounts: readonly StackAccount[];
  readonly userKeys: KeyPair;
  readonly sagemakerKeys: KeyPair;
  /** Base64. */
  readonly sessionKey: string;
}

/**
 * SeaweedFS' `-s3.config`. Both users are of the stack's own account; who does what shows in the SageMaker server's
 * log. With other accounts beside it, the person's is kept from their buckets.
 */
export function usersFile({ accounts, userKeys, sagemakerKeys }: S3Identities): unknown {
  const account = { id: ACCOUNT, displayName: ACCOUNT };
  const credentials = ({ accessKeyId, secretAccessKey }: KeyPair) => [
    { accessKey: accessKeyId, secretKey: secretAccessKey },
  ];
  const rights =
    accounts.length === 0 ? { actions: ["Admin"] } : { policyNames: [accountPolicyName(ACCOUNT)] };
  return {
    identities: [
      { name: "user", credentials: credentials(userKeys), ...rights, account },
      {
        name: "sagemaker",
        credentials: credentials(sagemakerKeys),
        actions: ["Admin"],
        account,
      },
    ],
    policies: [{ name: accountPolicyName(ACCOUNT), content: JSON.stringify(ownPolicy(accounts)) }],
  };
}

/** SeaweedFS' `-s3.iam.config`: how it checks sessions, and the policies that their tokens name. */
export const sessionsFile = ({ accounts, sessionKey }: S3Identities): unknown => ({
  sts: {
    issuer: SESSION_ISSUER,
    signingKey: sessionKey,
    tokenDuration: "1h",
    maxSessionLength: "12h",
  },
  policy: { defaultEffect: "Deny", storeType: "memory" },
  policies: [
    { name: accountPolicyName(ACCOUNT), document: ownPolicy(accounts) },
    ...accounts.map(({ id }) => ({
      name: accountPolicyName(id),
      document: policyOf([{ Effect: "Allow", Action: ["s3:*"], Resource: bucketsOf(id) }]),
    })),
  ],
});

/** Every bucket but those of the other accounts. What a bucket's own policy allows comes on top. */
const ownPolicy = (accounts: readonly StackAccount[]) =>
  policyOf([
    { Effect: "Allow", Action: ["s3:*"], Resource: ["arn:aws:s3:::*"] },
    ...accounts.map(({ id }) => ({ Effect: "Deny", Action: ["s3:*"], Resource: bucketsOf(id) })),
  ]);

const policyOf = (Statement: readonly object[]) => ({ Version: "2012-10-17", Statement });

/** The beginning is fixed, so that a wildcard reaches no other bucket's keys. */
const bucketsOf = (id: string): string[] => [`arn:aws:s3:::${bucketPrefix(id)}*`];
