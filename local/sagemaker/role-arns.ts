/** A role's ARN, written and read. */

export const roleArn = (account: string, role: string): string =>
  `arn:aws:iam::${account}:role/${role}`;

export function parseRole(arn: string): { account: string; role: string } | undefined {
  const match = /^arn:aws[a-z-]*:iam::(\d{12}):role\/(.+)$/.exec(arn);
  return match === null ? undefined : { account: match[1] ?? "", role: match[2] ?? "" };
}
