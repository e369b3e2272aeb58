/** Policies of users and roles: what the settings say, and what was set at run time in its place. */
import type { Pool } from "pg";
import { z } from "zod";
import type { ServerConfig } from "./config.schema.js";
import { validationError } from "./errors.js";
import { parsePolicy } from "./iam-policy.js";
import type { Policy } from "./iam-policy.js";
import { parseRole, roleArn } from "./role-arns.js";

export type Policies = ReturnType<typeof createPolicies>;

/** An ARN of a user or role to its policy (JSON), or to null for what the settings say. */
const changesSchema = z.strictObject({ policies: z.record(z.string(), z.unknown()) });

export const userArn = (account: string, user: string): string =>
  user === "root" ? `arn:aws:iam::${account}:root` : `arn:aws:iam::${account}:user/${user}`;

export function createPolicies(db: Pool, accounts: ServerConfig["accounts"]) {
  const settings = new Map(accounts.flatMap(policiesOf));
  const principals = new Set(accounts.flatMap(principalsOf));
  /** As they were given, and ready to be asked. */
  const atRunTime = new Map<string, { readonly document: unknown; readonly policy: Policy }>();

  const check = ([arn, document]: [string, unknown]) => {
    const account = /^arn:aws:iam::(\d{12}):(user|role)\/[\w+=,.@/-]+$/.exec(arn);
    const isKnown = principals.has(arn);
    // A role needs no key of its own, so one that the settings do not name can come to be here.
    const canBe = account?.[2] === "role" && accounts.some(({ id }) => id === account[1]);
    if (account === null || !(isKnown || canBe))
      throw validationError(
        `policies: ${arn} is neither a user or role of the settings nor a new role of one of their accounts.`,
      );
    if (document === null) return { arn, document, policy: undefined };
    try {
      return { arn, document, policy: parsePolicy(document) };
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw validationError(`policies: the policy of ${arn} is refused: ${reason}.`);
    }
  };

  return {
    /** At start: what was set in an earlier life. */
    async load(): Promise<void> {
      const { rows } = await db.query<{ arn: string; document: unknown }>(
        "select arn, document from sagemaker.policies",
      );
      for (const { arn, document } of rows)
        atRunTime.set(arn, { document, policy: parsePolicy(document) });
    },

    /** Undefined: the user or role may do everything in its account. */
    of: (arn: string): Policy | undefined => atRunTime.get(arn)?.policy ?? settings.get(arn),

    /** Is there such a role, from the settings or made by setting its policy? */
    isRole: (arn: string): boolean => principals.has(arn) || atRunTime.has(arn),

    rolesOf: (account: string): string[] =>
      [...principals, ...atRunTime.keys()].filter((arn) => parseRole(arn)?.account === account),

    current: () =>
      Object.fromEntries([...atRunTime.entries()].map(([arn, { document }]) => [arn, document])),

    /** Sets those that are named and leaves the others; nothing is set when one is refused. */
    async change(request: unknown): Promise<void> {
      const parsed = changesSchema.safeParse(request);
      if (!parsed.success)
        throw validationError(
          'policies: send {"policies": {"<ARN of a user or role>": policy or null}}.',
        );
      const changes = Object.entries(parsed.data.policies).map(check);
      const removed = changes.filter(({ policy }) => policy === undefined).map(({ arn }) => arn);
      const set = changes.filter(({ policy }) => policy !== undefined);
      const documents = set.map(({ arn, document }) => ({ arn, document }));
      await db.query(
        `with gone as (delete from sagemaker.policies where arn = any($1))
         insert into sagemaker.policies
           select * from jsonb_to_recordset($2::jsonb) as given (arn text, document jsonb)
         on conflict (arn) do update set document = excluded.document`,
        [removed, JSON.stringify(documents)],
      );
      for (const arn of removed) atRunTime.delete(arn);
      for (const { arn, document, policy } of set)
        if (policy !== undefined) atRunTime.set(arn, { document, policy });
    },
  };
}

type Account = ServerConfig["accounts"][number];

const principalsOf = ({ id, accessKeys, roles }: Account): string[] => [
  ...accessKeys.map(({ user }) => userArn(id, user)),
  ...roles.map((role) => roleArn(id, typeof role === "string" ? role : role.name)),
];

function policiesOf({ id, accessKeys, roles }: Account): [string, Policy][] {
  const users = accessKeys.map(({ user, policy }) => ({ arn: userArn(id, user), policy }));
  const named = roles.map((role) =>
    typeof role === "string"
      ? { arn: roleArn(id, role), policy: undefined }
      : { arn: roleArn(id, role.name), policy: role.policy },
  );
  return [...users, ...named].flatMap(({ arn, policy }) =>
    policy === undefined ? [] : [[arn, parsePolicy(policy)] satisfies [string, Policy]],
  );
}
