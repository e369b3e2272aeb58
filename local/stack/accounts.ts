/** The stack's AWS accounts: its own, and those that `--accounts` adds, each with a role for the worker. */
import { StackError } from "./stack-error.js";

/** Where training and the registry are, and whose credentials client and worker have. */
export const ACCOUNT = "111111111111";

/** An account beside the stack's own. */
export interface StackAccount {
  /** For people; part of what the roles of the account are told apart by. */
  readonly name: string;
  readonly id: string;
}

/** What the worker assumes in another account. */
export const STAGE_ROLE_NAME = "modelfleet-stage";
/** What SageMaker assumes, in every account. */
export const EXECUTION_ROLE_NAME = "modelfleet-execution";

export const stageRole = ({ id }: StackAccount): string =>
  `arn:aws:iam::${id}:role/${STAGE_ROLE_NAME}`;

export const executionRole = (id: string): string =>
  `arn:aws:iam::${id}:role/${EXECUTION_ROLE_NAME}`;

/** What AssumeRole must be given for an account's stage role. */
export const externalId = ({ name }: StackAccount): string => `modelfleet-${name}`;

/** How the names of an account's buckets begin: on one machine the name is what tells whose a bucket is. */
export const bucketPrefix = (id: string): string => `modelfleet-${id}`;

/** `qa=222222222222,prod=333333333333`. Throws StackError. */
export function parseAccounts(text: string): StackAccount[] {
  const accounts = text.split(",").map((part) => parseAccount(part.trim()));
  for (const key of ["name", "id"] as const) {
    const values = accounts.map((account) => account[key]);
    const twice = values.find((value, index) => values.indexOf(value) !== index);
    if (twice !== undefined) throw refused(`${twice} stands twice in the accounts`);
  }
  return accounts;
}

function parseAccount(text: string): StackAccount {
  const [, name, id] = /^([a-z][a-z0-9]{0,15})=(\d{12})$/.exec(text) ?? [];
  if (name === undefined || id === undefined)
    throw refused(`"${text}" is no account: a name (letters and digits), =, and 12 digits`);
  if (id === ACCOUNT) throw refused(`${ACCOUNT} is the stack's own account, which is always there`);
  return { name, id };
}

const refused = (message: string): StackError =>
  new StackError(
    "StackSettingInvalid",
    message,
    "give them as --accounts qa=222222222222,prod=333333333333",
  );

/** The roles of an account, as the SageMaker server's settings have them. */
export function rolesOf(account: StackAccount) {
  return [
    {
      name: STAGE_ROLE_NAME,
      trust: trustPolicy(
        { AWS: `arn:aws:iam::${ACCOUNT}:root` },
        { StringEquals: { "sts:ExternalId": externalId(account) } },
      ),
    },
    { name: EXECUTION_ROLE_NAME, trust: trustPolicy({ Service: "sagemaker.amazonaws.com" }) },
  ];
}

const trustPolicy = (Principal: object, Condition?: object) => ({
  Version: "2012-10-17",
  Statement: [
    { Effect: "Allow", Principal, Action: "sts:AssumeRole", ...(Condition && { Condition }) },
  ],
});
