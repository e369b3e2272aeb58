/** Reads secrets by reference: a variable, a file that a variable names, or AWS Secrets Manager. */
import { readFile } from "node:fs/promises";
import { valueOf, type Environment } from "./environment.js";
import { fetchSecret, parseReference } from "./secrets-manager.js";

/** The value of the secret of this name; undefined when the environment says nothing of it. */
export type ReadSecret = (name: string) => Promise<string | undefined>;

/** A secret that is referred to and cannot be had. Neither message holds a value, nor what was found in its place. */
export class SecretUnreadable extends Error {
  readonly hint: string;

  constructor(message: string, hint: string) {
    super(message);
    this.name = "SecretUnreadable";
    this.hint = hint;
  }
}

/**
 * A secret that AWS rotates is read anew within this time. Shorter would ask Secrets Manager once for every message
 * that a webhook is sent; files are read every time, which costs nothing.
 */
const KEPT_MILLISECONDS = 5 * 60 * 1000;

/**
 * The reader of an environment's secrets. `NAME` holds the value itself, `NAME_FILE` the path of a file with it (as
 * Docker and Kubernetes mount secrets), `NAME_SECRET` is `secretsmanager:` and the name or ARN of a secret of AWS
 * Secrets Manager, with `#field` for one field of a JSON secret. Rejects with SecretUnreadable when the reference is
 * wrong, when there are two, or when what it refers to cannot be read.
 */
export function secretReader(environment: Environment): ReadSecret {
  const kept = new Map<string, { readonly value: string; readonly until: number }>();
  return async (name) => {
    const [reference, another] = [name, `${name}_FILE`, `${name}_SECRET`].filter(
      (variable) => valueOf(environment, variable) !== undefined,
    );
    if (another !== undefined)
      throw new SecretUnreadable(
        `${reference} and ${another} are both set`,
        "keep the one that is meant",
      );
    if (reference === undefined) return undefined;
    if (reference === name) return environment[name];
    if (reference === `${name}_FILE`) return fromFile(environment, reference);
    const known = kept.get(reference);
    if (known !== undefined && known.until > Date.now()) return known.value;
    const value = await fromSecretsManager(environment, reference);
    kept.set(reference, { value, until: Date.now() + KEPT_MILLISECONDS });
    return value;
  };
}

async function fromFile(environment: Environment, variable: string): Promise<string> {
  // The path is not told: who puts the secret itself there by mistake must not find it in a log.
  const hint = "give the path of a file that holds the secret and nothing else";
  const text = await readFile(environment[variable] ?? "", "utf8").catch((error: unknown) => {
    throw new SecretUnreadable(
      `the file that ${variable} names cannot be read (${code(error)})`,
      hint,
    );
  });
  // Editors and `echo` end a file with a line break; no secret of ours does.
  const value = text.replace(/\r?\n$/, "");
  if (value === "") throw new SecretUnreadable(`the file that ${variable} names is empty`, hint);
  return value;
}

async function fromSecretsManager(environment: Environment, variable: string): Promise<string> {
  const reference = parseReference(environment[variable] ?? "", environment.AWS_REGION);
  if (reference === undefined)
    throw new SecretUnreadable(
      `${variable} does not refer to a secret`,
      "write secretsmanager:NAME-OR-ARN, with #FIELD for a field of a JSON secret; a name needs AWS_REGION",
    );
  const text = await fetchSecret(reference).catch((error: unknown) => {
    throw new SecretUnreadable(
      `AWS Secrets Manager does not give what ${variable} refers to (${code(error)})`,
      "the secret must exist in that account and region, and the process be allowed secretsmanager:GetSecretValue",
    );
  });
  if (text === undefined || text === "")
    throw new SecretUnreadable(
      `the secret that ${variable} refers to has no such text`,
      "it must be a text secret, and one of JSON when a #FIELD is given",
    );
  return text;
}

/** Node's or AWS' word for what went wrong: their messages may quote what they were given. */
function code(error: unknown): string {
  if (!(error instanceof Error)) return "unknown";
  return "code" in error && typeof error.code === "string" ? error.code : error.name;
}
