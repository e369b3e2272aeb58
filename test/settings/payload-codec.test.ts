import { randomBytes } from "node:crypto";
import { defaultPayloadConverter, type Payload } from "@temporalio/common";
import { describe, expect, test } from "vitest";
import { payloadCodec, PayloadUnreadable } from "../../settings/payload-codec.js";
import {
  PayloadKeysInvalid,
  readPayloadKeys,
  type PayloadKeys,
} from "../../settings/payload-keys.js";

const secretOf = (): string => randomBytes(32).toString("base64");
const november = `2026-11:${secretOf()}`;
const may = `2026-05:${secretOf()}`;

function keys(setting: string): PayloadKeys {
  const read = readPayloadKeys(setting);
  if (read === undefined) throw new Error("no keys");
  return read;
}

const plain = (value: unknown): Payload => defaultPayloadConverter.toPayload(value);
const valueOf = (payload: Payload | undefined): unknown =>
  defaultPayloadConverter.fromPayload(payload ?? {});
const text = (bytes: Uint8Array | null | undefined): string =>
  Buffer.from(bytes ?? []).toString("utf8");

async function refused(payloads: Payload[], setting: string): Promise<PayloadUnreadable> {
  const failed: unknown = await payloadCodec(keys(setting))
    .decode(payloads)
    .catch((error: unknown) => error);
  if (failed instanceof PayloadUnreadable) return failed;
  throw new Error("it was decoded");
}

describe("a payload", () => {
  test("is sealed whole, and opens to what it was", async () => {
    const codec = payloadCodec(keys(november));
    const value = { customer: "Müller & Sons", rows: 12_000, list: ["a", null] };
    const [sealed] = await codec.encode([plain(value)]);
    expect(text(sealed?.metadata?.encoding)).toBe("binary/encrypted");
    expect(text(sealed?.metadata?.["encryption-key-id"])).toBe("2026-11");
    expect(Object.keys(sealed?.metadata ?? {})).toHaveLength(2);
    expect(text(sealed?.data)).not.toMatch(/Müller|json\/plain/);
    const [opened] = await codec.decode(sealed === undefined ? [] : [sealed]);
    expect(valueOf(opened)).toEqual(value);
    expect(text(opened?.metadata?.encoding)).toBe("json/plain");
  });

  test("never looks the same twice, and an empty one is sealed too", async () => {
    const codec = payloadCodec(keys(november));
    const [one, two, none] = await codec.encode([plain("a"), plain("a"), plain(undefined)]);
    expect(one?.data).not.toEqual(two?.data);
    expect(valueOf((await codec.decode([none ?? {}]))[0])).toBeUndefined();
    expect(await codec.encode([])).toEqual([]);
  });

  test("from before there were keys stays readable", async () => {
    const [passed] = await payloadCodec(keys(november)).decode([plain({ old: true })]);
    expect(valueOf(passed)).toEqual({ old: true });
  });
});

describe("after a rotation", () => {
  test("the first key encrypts, and every key decrypts", async () => {
    const old = await payloadCodec(keys(may)).encode([plain("spring")]);
    const codec = payloadCodec(keys(`${november},${may}`));
    const [fresh] = await codec.encode([plain("autumn")]);
    expect(text(fresh?.metadata?.["encryption-key-id"])).toBe("2026-11");
    const opened = await codec.decode([...old, fresh ?? {}]);
    expect(opened.map(valueOf)).toEqual(["spring", "autumn"]);
  });

  test("a key that is gone is asked for by its id", async () => {
    const old = await payloadCodec(keys(may)).encode([plain("spring")]);
    const { message, hint } = await refused(old, november);
    expect(message).toContain(
      'with the key "2026-05", and MODELFLEET_ENCRYPTION_KEYS has only 2026-11',
    );
    expect(hint).toBe("add that key behind the first");
  });
});

describe("what was tampered with is refused:", () => {
  test.each([
    ["a bit of the ciphertext", (sealed: Payload) => flip(sealed, 20)],
    ["a bit of the nonce", (sealed: Payload) => flip(sealed, 0)],
    ["a bit of the tag", (sealed: Payload) => flip(sealed, -1)],
    ["the end", (sealed: Payload) => ({ ...sealed, data: sealed.data?.subarray(0, -1) ?? null })],
    [
      "all but a few bytes",
      (sealed: Payload) => ({ ...sealed, data: sealed.data?.subarray(0, 5) ?? null }),
    ],
    ["everything", (sealed: Payload) => ({ ...sealed, data: null })],
  ])("%s", async (_, tamper) => {
    const [sealed] = await payloadCodec(keys(november)).encode([plain({ rows: 1 })]);
    const { message } = await refused([tamper(sealed ?? {})], november);
    expect(message).toBe("a payload does not open with the key 2026-11");
  });

  test("the id of its key", async () => {
    const [sealed] = await payloadCodec(keys(november)).encode([plain({ rows: 1 })]);
    const exchanged = { "encryption-key-id": Buffer.from("copy") };
    const copied = { ...sealed, metadata: { ...sealed?.metadata, ...exchanged } };
    // The same secret under both ids: only the id differs.
    const both = `${november},${november.replace("2026-11", "copy")}`;
    expect((await refused([copied], both)).message).toContain("does not open with the key copy");
  });

  function flip(sealed: Payload, at: number): Payload {
    const data = Buffer.from(sealed.data ?? []);
    const index = at < 0 ? data.length + at : at;
    data.writeUInt8(data.readUInt8(index) ^ 1, index);
    return { ...sealed, data };
  }
});

describe("the setting", () => {
  test("has one key a line, or several with commas", () => {
    const ids = keys(`${november}\n${may}, third:${secretOf()}\n`).map(({ id }) => id);
    expect(ids).toEqual(["2026-11", "2026-05", "third"]);
    expect(readPayloadKeys(undefined)).toBeUndefined();
  });

  test.each([
    ["", /holds no key/],
    [" \n", /holds no key/],
    [secretOf(), /entry 1 is not ID:KEY/],
    [`${november},short:c2hvcnQ=`, /entry 2 is not ID:KEY with a key of 32 bytes/],
    [`a b:${secretOf()}`, /entry 1 is not/],
    [`${november},${november}`, /has the key id 2026-11 twice/],
  ])("is refused without a word of it: case %#", (setting, told) => {
    let failed: unknown;
    try {
      readPayloadKeys(setting);
    } catch (error) {
      failed = error;
    }
    expect(failed).toBeInstanceOf(PayloadKeysInvalid);
    const message = failed instanceof Error ? failed.message : "";
    expect(message).toMatch(told);
    for (const part of setting.split(/[\s,:]+/).filter((one) => one.length > 7))
      expect(message).not.toContain(part);
  });
});
