/** The keys that payloads are encrypted with, as the setting MODELFLEET_ENCRYPTION_KEYS writes them. */

export interface PayloadKey {
  /** Stands in the metadata of every payload that the key encrypted. */
  readonly id: string;
  /** 32 bytes, for AES-256. */
  readonly secret: Buffer;
}

/** The first encrypts; all decrypt, so that what was written before a rotation stays readable. */
export type PayloadKeys = readonly [PayloadKey, ...PayloadKey[]];

/** The setting is malformed. What it holds is never told. */
export class PayloadKeysInvalid extends Error {
  readonly hint =
    'write ID:KEY, separated by commas, where ID is a name such as 2026-11 and KEY what "openssl rand -base64 32" prints';

  constructor(problem: string) {
    super(`MODELFLEET_ENCRYPTION_KEYS: ${problem}`);
    this.name = "PayloadKeysInvalid";
  }
}

/** Undefined for no setting. Throws PayloadKeysInvalid. */
export function readPayloadKeys(text: string | undefined): PayloadKeys | undefined {
  if (text === undefined) return undefined;
  const [first, ...rest] = text
    .split(/[\s,]+/)
    .filter((entry) => entry !== "")
    .map(readKey);
  if (first === undefined) throw new PayloadKeysInvalid("holds no key");
  const keys: PayloadKeys = [first, ...rest];
  const ids = keys.map(({ id }) => id);
  const twice = ids.find((id, index) => ids.indexOf(id) !== index);
  if (twice !== undefined) throw new PayloadKeysInvalid(`has the key id ${twice} twice`);
  return keys;
}

function readKey(entry: string, index: number): PayloadKey {
  const which = `entry ${index + 1}`;
  const [, id, encoded] = /^([A-Za-z0-9._-]{1,64}):([A-Za-z0-9+/]{43}=)$/.exec(entry) ?? [];
  if (id === undefined || encoded === undefined)
    throw new PayloadKeysInvalid(`${which} is not ID:KEY with a key of 32 bytes in base64`);
  return { id, secret: Buffer.from(encoded, "base64") };
}
