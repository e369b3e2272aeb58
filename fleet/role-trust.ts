/** Whether a role's trust policy lets SageMaker assume it for what runs in an account. */

type Fields = Readonly<Record<string, unknown>>;

/**
 * Undefined when it does; else what it lacks, in words that follow "the role …". `document` is the policy as IAM
 * answers it (JSON). Of conditions only the account's is looked at: `modelfleet iam execution-role --trust` has no other.
 */
export function trustProblem(document: string, account: string): string | undefined {
  const statements = listOf(parsed(document)["Statement"]).filter(isFields);
  const forSageMaker = statements.filter(
    ({ Effect, Action, Principal }) =>
      Effect === "Allow" &&
      listOf(Action).some((one) => one === "sts:AssumeRole" || one === "sts:*" || one === "*") &&
      isFields(Principal) &&
      listOf(Principal["Service"]).includes("sagemaker.amazonaws.com"),
  );
  if (forSageMaker.length === 0) return "does not let sagemaker.amazonaws.com assume it";
  const accounts = forSageMaker.map(accountsOf);
  if (accounts.some((one) => one.length === 0 || one.includes(account))) return undefined;
  return `lets SageMaker assume it for account ${accounts.flat().join(", ")} only, not for ${account}`;
}

/** Those of `aws:SourceAccount`; none is all. */
function accountsOf({ Condition }: Fields): unknown[] {
  const equals = isFields(Condition) ? Condition["StringEquals"] : undefined;
  if (!isFields(equals)) return [];
  const [, accounts] =
    Object.entries(equals).find(([key]) => key.toLowerCase() === "aws:sourceaccount") ?? [];
  return [...listOf(accounts)];
}

function parsed(document: string): Fields {
  try {
    const value: unknown = JSON.parse(document);
    return isFields(value) ? value : {};
  } catch {
    return {};
  }
}

const isFields = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const listOf = (value: unknown): readonly unknown[] =>
  Array.isArray(value) ? value : value === undefined ? [] : [value];
