/** Temporary credentials of a role: assumed when first needed, checked, shared, and renewed before they expire. */
import { AssumeRoleCommand, GetCallerIdentityCommand, STSClient } from "@aws-sdk/client-sts";
import { messageOf, permanent } from "../activities/application-failure.js";
import { FAILURES } from "../fleet/errors.js";

export interface RoleToAssume {
  readonly stage: string;
  readonly role: string;
  readonly externalId: string | undefined;
  /** Whose credentials they must be. */
  readonly account: string;
  /** Where STS is asked. */
  readonly region: string;
}

export interface Credentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string;
  readonly expiration: Date;
}

/** Renewed so long before their end (AWS's SDKs do the same), or after two thirds of a shorter life. */
const marginMs = 5 * 60 * 1000;

const attempts = { maxAttempts: 2 };

/**
 * Returns what AWS clients take as their credentials. It throws AccountMismatch before the first use of credentials
 * that are of another account than is named, AccessDenied when the role may not be assumed, and what STS throws
 * when it does not answer, unless those at hand are still good.
 */
export function roleCredentials(wanted: RoleToAssume): () => Promise<Credentials> {
  let held: (Credentials & { readonly renewAt: number }) | undefined;
  let renewing: Promise<Credentials> | undefined;
  const renew = async (): Promise<Credentials> => {
    const now = Date.now();
    const next = await assume(wanted);
    await checkAccount(wanted, next);
    const lifeMs = next.expiration.getTime() - now;
    held = { ...next, renewAt: now + lifeMs - Math.min(marginMs, lifeMs / 3) };
    return next;
  };
  return async () => {
    if (held !== undefined && Date.now() < held.renewAt) return held;
    renewing ??= renew().finally(() => (renewing = undefined));
    try {
      return await renewing;
    } catch (error) {
      const isUnanswered = !(error instanceof Error && "nonRetryable" in error);
      if (isUnanswered && held !== undefined && Date.now() < held.expiration.getTime()) return held;
      throw error;
    }
  };
}

async function assume({ stage, role, externalId, region }: RoleToAssume): Promise<Credentials> {
  const sts = new STSClient({ region, ...attempts });
  try {
    const { Credentials: given } = await sts.send(
      new AssumeRoleCommand({
        RoleArn: role,
        RoleSessionName: "modelfleet-worker",
        ...(externalId !== undefined && { ExternalId: externalId }),
      }),
    );
    const { AccessKeyId, SecretAccessKey, SessionToken, Expiration } = given ?? {};
    if (!AccessKeyId || !SecretAccessKey || !SessionToken || !Expiration)
      throw new Error(`AssumeRole of ${role} answered without credentials`);
    return {
      accessKeyId: AccessKeyId,
      secretAccessKey: SecretAccessKey,
      sessionToken: SessionToken,
      expiration: Expiration,
    };
  } catch (error) {
    if (error instanceof Error && error.name === "AccessDenied")
      throw permanent(FAILURES.accessDenied, {
        message: `the worker may not assume the role ${role} of stage "${stage}": ${messageOf(error)}`,
        hint:
          "the role must exist, and its trust policy must name the worker's own role or user" +
          (externalId === undefined
            ? " (and the stage's externalId, if it asks for one)"
            : ` and the external id "${externalId}"`) +
          ": modelfleet accounts plan FLEET.ts prints what it must say",
        cause: error,
      });
    throw error;
  } finally {
    sts.destroy();
  }
}

async function checkAccount(
  { stage, role, account, region }: RoleToAssume,
  { accessKeyId, secretAccessKey, sessionToken }: Credentials,
): Promise<void> {
  const credentials = { accessKeyId, secretAccessKey, sessionToken };
  const sts = new STSClient({ region, credentials, ...attempts });
  try {
    const { Account } = await sts.send(new GetCallerIdentityCommand({}));
    if (Account === account) return;
    throw permanent(FAILURES.accountMismatch, {
      message: `stage "${stage}" is in account ${account}, but the credentials of ${role} are of ${Account ?? "no account"}`,
      hint: `correct account or role of the stage "${stage}" in the fleet file; nothing was touched`,
    });
  } finally {
    sts.destroy();
  }
}
