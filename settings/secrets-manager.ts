/** AWS Secrets Manager: how a secret there is referred to, and how its text is fetched. */

export interface SecretReference {
  /** Name or ARN. */
  readonly id: string;
  readonly region: string;
  /** Of a secret that is a JSON object, such as those that RDS makes. */
  readonly field: string | undefined;
}

/**
 * `secretsmanager:` with a name or an ARN, and maybe `#field`. An ARN names its region, a name is looked up in
 * `region`. Undefined when it is no such reference.
 * Names: https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html
 */
export function parseReference(
  text: string,
  region: string | undefined,
): SecretReference | undefined {
  const parts = /^secretsmanager:([A-Za-z0-9/_+=.@:-]+)(?:#(.+))?$/.exec(text);
  const id = parts?.[1];
  if (id === undefined) return undefined;
  const named = /^arn:aws[a-z-]*:secretsmanager:([a-z0-9-]+):\d{12}:secret:.+$/.exec(id)?.[1];
  if (named === undefined && id.includes(":")) return undefined;
  const where = named ?? region;
  if (where === undefined || where === "") return undefined;
  return { id, region: where, field: parts?.[2] };
}

/**
 * GetSecretValue. Undefined when the secret is binary, or lacks the field. Rejects with the SDK's error when it is
 * not there or not allowed.
 */
export async function fetchSecret(reference: SecretReference): Promise<string | undefined> {
  const { GetSecretValueCommand, SecretsManagerClient } =
    await import("@aws-sdk/client-secrets-manager");
  const client = new SecretsManagerClient({ region: reference.region, maxAttempts: 3 });
  try {
    const answer = await client.send(new GetSecretValueCommand({ SecretId: reference.id }));
    if (reference.field === undefined || answer.SecretString === undefined)
      return answer.SecretString;
    return fieldOf(answer.SecretString, reference.field);
  } finally {
    client.destroy();
  }
}

/** JSON.parse quotes what it cannot read, and that is the secret: its error goes nowhere. */
function fieldOf(text: string, field: string): string | undefined {
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed !== "object" || parsed === null) return undefined;
    const value: unknown = new Map<string, unknown>(Object.entries(parsed)).get(field);
    return typeof value === "string" ? value : undefined;
  } catch {
    return undefined;
  }
}
