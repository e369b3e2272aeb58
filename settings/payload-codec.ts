/** Encrypts what Temporal stores: arguments, results, signals, memos, summaries, encoded failures. AES-256-GCM. */
import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import type { Payload, PayloadCodec } from "@temporalio/common";
import proto from "@temporalio/proto";
import type { PayloadKey, PayloadKeys } from "./payload-keys.js";

const { Payload: PayloadMessage } = proto.temporal.api.common.v1;

/** Metadata of an encrypted payload, by the names that Temporal's samples in all languages use. */
const ENCODING = Buffer.from("binary/encrypted");
const KEY_ID = "encryption-key-id";

/** GCM's own: 96 random bits. One key is good for 2^32 payloads (NIST SP 800-38D, 8.3): rotate long before. */
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** A payload that none of the keys opens. */
export class PayloadUnreadable extends Error {
  readonly hint: string;

  constructor(message: string, hint: string) {
    super(message);
    this.name = "PayloadUnreadable";
    this.hint = hint;
  }
}

/**
 * Encrypts the whole payload with the first key, the key's id and the encoding being authenticated with it. Decrypts
 * with the key that the payload names; a payload that is not encrypted passes as it is, so that what was written
 * before there were keys stays readable. `decode` rejects with PayloadUnreadable.
 */
export function payloadCodec(keys: PayloadKeys): PayloadCodec {
  const known = new Map(keys.map((key) => [key.id, key]));
  return {
    encode: async (payloads) => payloads.map((payload) => encrypt(payload, keys[0])),
    decode: async (payloads) =>
      payloads.map((payload) => {
        if (!isEncrypted(payload)) return payload;
        const id = Buffer.from(payload.metadata?.[KEY_ID] ?? []).toString("utf8");
        const key = known.get(id);
        if (key !== undefined) return decrypt(payload, key);
        throw new PayloadUnreadable(
          `a payload is encrypted with the key ${JSON.stringify(id.slice(0, 64))}, and MODELFLEET_ENCRYPTION_KEYS has only ${[...known.keys()].join(", ")}`,
          "add that key behind the first",
        );
      }),
  };
}

function isEncrypted({ metadata }: Payload): boolean {
  return ENCODING.equals(metadata?.encoding ?? Buffer.alloc(0));
}

function encrypt(payload: Payload, key: PayloadKey): Payload {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv("aes-256-gcm", key.secret, nonce).setAAD(associated(key));
  const plain = PayloadMessage.encode(payload).finish();
  const data = Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
  return { metadata: { encoding: ENCODING, [KEY_ID]: Buffer.from(key.id) }, data };
}

function decrypt(payload: Payload, key: PayloadKey): Payload {
  const data = Buffer.from(payload.data ?? []);
  try {
    const decipher = createDecipheriv("aes-256-gcm", key.secret, data.subarray(0, NONCE_BYTES), {
      authTagLength: TAG_BYTES,
    })
      .setAAD(associated(key))
      .setAuthTag(data.subarray(-TAG_BYTES));
    const plain = decipher.update(data.subarray(NONCE_BYTES, -TAG_BYTES));
    return PayloadMessage.decode(Buffer.concat([plain, decipher.final()]));
  } catch {
    throw new PayloadUnreadable(
      `a payload does not open with the key ${key.id}`,
      "it was changed on its way, or this process has another key by that id",
    );
  }
}

/** Binds the ciphertext to its key id: metadata that somebody exchanged is noticed. */
function associated(key: PayloadKey): Buffer {
  return Buffer.concat([ENCODING, Buffer.from(`\0${key.id}`)]);
}
