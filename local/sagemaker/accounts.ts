/** Who stands behind an access key, and by which policies: users from the settings, roles as AssumeRole gave them out. */
import { createHash, randomBytes } from "node:crypto";
import type { Pool } from "pg";
import type { ServerConfig } from "./config.schema.js";
import { parsePolicy } from "./iam-policy.js";
import type { Policy } from "./iam-policy.js";
import { userArn } from "./policies.js";
import type { Policies } from "./policies.js";
import { parseRole, roleArn } from "./role-arns.js";
import { mintCredentials } from "./session-credentials.js";
import type { MintedCredentials, RoleSession } from "./session-credentials.js";
import type { TrustPolicy } from "./trust-policy.js";

export interface Principal {
  readonly account: string;
  readonly arn: string;
  readonly userId: string;
  /** The ARN of the user, or of the role of a session. */
  readonly identityArn: string;
  /** Each must allow what is asked; with none, everything is allowed. */
  readonly policies: readonly Policy[];
}

export interface AccessKey {
  readonly secretAccessKey: string;
  readonly principal: Principal;
  /** Only for temporary credentials. */
  readonly session?: { readonly token: string; readonly expiresAt: number };
}

/** For a gateway that knows no sessions: their credentials are good for everything else. */
const ownKey = randomBytes(32).toString("base64");

export type Accounts = ReturnType<typeof createAccounts>;

export function createAccounts(
  db: Pool,
  { accounts, s3, policies }: Pick<ServerConfig, "accounts" | "s3"> & { policies: Policies },
) {
  const users = new Map(
    accounts.flatMap(({ id, accessKeys }) =>
      accessKeys.map(({ accessKeyId, secretAccessKey, user }) => {
        const key = { secretAccessKey, account: id, user };
        return [accessKeyId, key] satisfies [string, object];
      }),
    ),
  );
  const trust = new Map(accounts.flatMap(trustOf));

  return {
    async findKey(accessKeyId: string): Promise<AccessKey | undefined> {
      const key = users.get(accessKeyId);
      if (key === undefined) return findSession(db, policies, accessKeyId);
      const { secretAccessKey, account, user } = key;
      return { secretAccessKey, principal: userPrincipal(policies, account, user) };
    },

    /** Does `arn:aws:iam::<account>:role/<path/name>` name a role of the settings, or one made since? */
    isKnownRole: (arn: string): boolean => {
      const role = parseRole(arn);
      return role !== undefined && policies.isRole(roleArn(role.account, role.role));
    },

    /** By the last part of its name, as IAM knows roles. */
    roleNamed: (account: string, name: string) => {
      const arn = policies.rolesOf(account).find((one) => one.split("/").at(-1) === name);
      return arn === undefined ? undefined : { arn, trust: trust.get(arn) };
    },

    /** Undefined: the role may be assumed by whoever may do so in his own account. */
    trustOf: (arn: string): TrustPolicy | undefined => trust.get(arn),

    async mint(session: RoleSession, durationSeconds: number): Promise<MintedCredentials> {
      const minted = mintCredentials(s3.sessionKey ?? ownKey, session, durationSeconds);
      await db.query("insert into sagemaker.sessions values ($1, $2, $3, $4, $5, $6, $7, $8)", [
        ...[minted.accessKeyId, minted.secretAccessKey, minted.sessionToken],
        ...[session.account, session.role, session.sessionName, minted.expiresAt],
        session.policy === undefined ? null : JSON.stringify(session.policy),
      ]);
      // A day later nobody needs to be told any more that his credentials have expired.
      const forgotten = Date.now() / 1000 - 24 * 60 * 60;
      await db.query("delete from sagemaker.sessions where expires_at < $1", [forgotten]);
      return minted;
    },
  };
}

export function rolePrincipal(
  policies: Pick<Policies, "of">,
  { account, role, sessionName, policy }: RoleSession,
): Principal {
  const name = role.split("/").at(-1) ?? role; // A session's ARN leaves the role's path out.
  const identityArn = roleArn(account, role);
  const own = policies.of(identityArn);
  const session = policy === undefined || policy === null ? [] : [parsePolicy(policy)];
  return {
    account,
    arn: `arn:aws:sts::${account}:assumed-role/${name}/${sessionName}`,
    userId: `${uniqueId("AROA", `${account}/${role}`)}:${sessionName}`,
    identityArn,
    policies: own === undefined ? session : [own, ...session],
  };
}

function trustOf({ id, roles }: ServerConfig["accounts"][number]): [string, TrustPolicy][] {
  return roles.flatMap((role): [string, TrustPolicy][] =>
    typeof role === "string" || role.trust === undefined
      ? []
      : [[roleArn(id, role.name), role.trust]],
  );
}

function userPrincipal(policies: Pick<Policies, "of">, account: string, user: string): Principal {
  const arn = userArn(account, user);
  const own = policies.of(arn);
  const userId = uniqueId("AIDA", arn);
  return { account, arn, userId, identityArn: arn, policies: own === undefined ? [] : [own] };
}

/** Ids look random in AWS; here the same name always has the same one. */
function uniqueId(prefix: string, name: string): string {
  const digest = createHash("sha256").update(name).digest("hex").toUpperCase();
  return `${prefix}${digest.slice(0, 17)}`;
}

async function findSession(
  db: Pool,
  policies: Policies,
  accessKeyId: string,
): Promise<AccessKey | undefined> {
  const { rows } = await db.query<{
    secret_access_key: string;
    session_token: string;
    account: string;
    role: string;
    session_name: string;
    expires_at: number;
    policy: unknown;
  }>("select * from sagemaker.sessions where access_key_id = $1", [accessKeyId]);
  const row = rows[0];
  // The credentials of a role end with the role.
  if (row === undefined || !policies.isRole(roleArn(row.account, row.role))) return undefined;
  return {
    secretAccessKey: row.secret_access_key,
    principal: rolePrincipal(policies, { ...row, sessionName: row.session_name }),
    session: { token: row.session_token, expiresAt: row.expires_at },
  };
}
