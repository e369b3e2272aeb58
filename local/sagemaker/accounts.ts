/** Who stands behind an access key: users from the settings, roles by what AssumeRole handed out. */
import { createHash, randomBytes } from "node:crypto";
import type { Pool } from "pg";
import type { ServerConfig } from "./config.schema.js";

export interface Principal {
  readonly account: string;
  readonly arn: string;
  readonly userId: string;
}

export interface AccessKey {
  readonly secretAccessKey: string;
  readonly principal: Principal;
  /** Only for temporary credentials. */
  readonly session?: { readonly token: string; readonly expiresAt: number };
}

export interface MintedCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string;
  readonly expiresAt: number;
}

export interface RoleSession {
  readonly account: string;
  readonly role: string;
  readonly sessionName: string;
}

export type Accounts = ReturnType<typeof createAccounts>;

export function createAccounts(db: Pool, accounts: ServerConfig["accounts"]) {
  const users = new Map(
    accounts.flatMap(({ id, accessKeys }) =>
      accessKeys.map(({ accessKeyId, secretAccessKey, user }): [string, AccessKey] => [
        accessKeyId,
        { secretAccessKey, principal: userPrincipal(id, user) },
      ]),
    ),
  );
  const roles = new Set(accounts.flatMap(({ id, roles }) => roles.map((role) => `${id}/${role}`)));

  return {
    async findKey(accessKeyId: string): Promise<AccessKey | undefined> {
      return users.get(accessKeyId) ?? findSession(db, accessKeyId);
    },

    /** Does `arn:aws:iam::<account>:role/<path/name>` name a role of the settings? */
    isKnownRole: (roleArn: string): boolean => {
      const role = parseRole(roleArn);
      return role !== undefined && roles.has(`${role.account}/${role.role}`);
    },

    async mint(session: RoleSession, durationSeconds: number): Promise<MintedCredentials> {
      const nowSeconds = Date.now() / 1000;
      const minted = {
        accessKeyId: `ASIA${randomBytes(10).toString("hex").slice(0, 16).toUpperCase()}`,
        secretAccessKey: randomBytes(30).toString("base64"),
        sessionToken: randomBytes(96).toString("base64"),
        expiresAt: nowSeconds + durationSeconds,
      };
      await db.query("insert into sagemaker.sessions values ($1, $2, $3, $4, $5, $6, $7)", [
        ...[minted.accessKeyId, minted.secretAccessKey, minted.sessionToken],
        ...[session.account, session.role, session.sessionName, minted.expiresAt],
      ]);
      // A day later nobody needs to be told any more that his credentials have expired.
      const forgotten = nowSeconds - 24 * 60 * 60;
      await db.query("delete from sagemaker.sessions where expires_at < $1", [forgotten]);
      return minted;
    },
  };
}

export function parseRole(roleArn: string): { account: string; role: string } | undefined {
  const match = /^arn:aws[a-z-]*:iam::(\d{12}):role\/(.+)$/.exec(roleArn);
  return match === null ? undefined : { account: match[1] ?? "", role: match[2] ?? "" };
}

export function rolePrincipal({ account, role, sessionName }: RoleSession): Principal {
  const name = role.split("/").at(-1) ?? role; // A session's ARN leaves the role's path out.
  return {
    account,
    arn: `arn:aws:sts::${account}:assumed-role/${name}/${sessionName}`,
    userId: `${uniqueId("AROA", `${account}/${role}`)}:${sessionName}`,
  };
}

function userPrincipal(account: string, user: string): Principal {
  const arn =
    user === "root" ? `arn:aws:iam::${account}:root` : `arn:aws:iam::${account}:user/${user}`;
  return { account, arn, userId: uniqueId("AIDA", arn) };
}

/** Ids look random in AWS; here the same name always has the same one. */
function uniqueId(prefix: string, name: string): string {
  const digest = createHash("sha256").update(name).digest("hex").toUpperCase();
  return `${prefix}${digest.slice(0, 17)}`;
}

async function findSession(db: Pool, accessKeyId: string): Promise<AccessKey | undefined> {
  const { rows } = await db.query<{
    secret_access_key: string;
    session_token: string;
    account: string;
    role: string;
    session_name: string;
    expires_at: number;
  }>("select * from sagemaker.sessions where access_key_id = $1", [accessKeyId]);
  const row = rows[0];
  if (row === undefined) return undefined;
  return {
    secretAccessKey: row.secret_access_key,
    principal: rolePrincipal({ ...row, sessionName: row.session_name }),
    session: { token: row.session_token, expiresAt: row.expires_at },
  };
}
