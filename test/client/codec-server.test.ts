/** The codec server: Temporal's protocol, who may ask, and that nobody else gets a word. */
import { randomBytes } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { defaultPayloadConverter, type Payload } from "@temporalio/common";
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey } from "jose";
import { describe, expect, onTestFinished, test } from "vitest";
import { accessBy, type Access } from "../../client/codec-access.js";
import {
  startCodecServer,
  type CodecServerOptions,
  type Served,
} from "../../client/codec-server.js";
import { readCodecSettings } from "../../client/codec-settings.js";
import { payloadCodec } from "../../settings/payload-codec.js";
import { readPayloadKeys } from "../../settings/payload-keys.js";

const aKey = (id: string): string => `${id}:${randomBytes(32).toString("base64")}`;
const setting = aKey("2026-11");
const keys = readPayloadKeys(setting);
if (keys === undefined) throw new Error("no keys");
const codec = payloadCodec(keys);

const UI = "https://cloud.temporal.io";
const token = "a".repeat(32);

interface Server {
  readonly served: Served[];
  ask(path: string, body: unknown, headers?: Record<string, string>): Promise<Response>;
}

async function server(options: Partial<CodecServerOptions> = {}): Promise<Server> {
  const served: Served[] = [];
  const started = await startCodecServer({
    host: "127.0.0.1",
    port: 0,
    codec,
    access: accessBy({ token, accessTokens: undefined }),
    origin: UI,
    namespace: "fleet.a1b2c",
    onServed: (one) => served.push(one),
    ...options,
  });
  onTestFinished(() => started.close());
  const ask = (path: string, body: unknown, headers: Record<string, string> = {}) =>
    fetch(`http://127.0.0.1:${started.port}${path}`, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: JSON.stringify(body),
    });
  return { served, ask };
}

const wire = ({ metadata, data }: Payload) => ({
  metadata: Object.fromEntries(
    Object.entries(metadata ?? {}).map(([key, value]) => [
      key,
      Buffer.from(value).toString("base64"),
    ]),
  ),
  data: Buffer.from(data ?? []).toString("base64"),
});
const plain = (value: unknown): Payload => defaultPayloadConverter.toPayload(value);
const sealed = async (...values: unknown[]) => ({
  payloads: (await codec.encode(values.map(plain))).map(wire),
});
const known = { authorization: `Bearer ${token}`, "x-namespace": "fleet.a1b2c", origin: UI };

describe("whoever may ask", () => {
  test("gets payloads decoded as the web UI expects them, and it is on record", async () => {
    const { ask, served } = await server();
    const answer = await ask("/decode", await sealed({ customer: "XNA" }, 7), known);
    expect(answer.status).toBe(200);
    expect(await answer.json()).toEqual({
      payloads: [plain({ customer: "XNA" }), plain(7)].map(wire),
    });
    expect(served).toEqual([
      { by: "the token", what: "decoded", payloads: 2, unreadable: 0, because: undefined },
    ]);
  });

  test("gets what the web UI sends encoded", async () => {
    const { ask } = await server();
    const answer = await ask("/encode", { payloads: [wire(plain("approve"))] }, known);
    const { payloads } = (await answer.json()) as { payloads: ReturnType<typeof wire>[] };
    expect(Buffer.from(payloads[0]?.metadata.encoding ?? "", "base64").toString()).toBe(
      "binary/encrypted",
    );
    const back = await ask("/decode", { payloads }, known);
    expect(await back.json()).toEqual({ payloads: [wire(plain("approve"))] });
  });

  test("gets the others of a page when one has another key, and it says which", async () => {
    const { ask, served } = await server();
    const foreign = readPayloadKeys(aKey("2019-01"));
    const [lost] = foreign === undefined ? [] : await payloadCodec(foreign).encode([plain("old")]);
    const { payloads } = await sealed("new");
    const body = { payloads: [wire(lost ?? {}), ...payloads, wire(plain("plain"))] };
    const answer = await ask("/decode", body, known);
    expect(await answer.json()).toEqual({
      payloads: [wire(lost ?? {}), wire(plain("new")), wire(plain("plain"))],
    });
    expect(served).toMatchObject([{ payloads: 3, unreadable: 1 }]);
    expect(served[0]?.because).toContain('the key "2019-01"');
  });

  test("asks from a browser only on the pages of the web UI", async () => {
    const { ask } = await server();
    const asked = await fetch((await ask("/decode", {}, known)).url, {
      method: "OPTIONS",
      headers: { origin: UI, "access-control-request-headers": "x-namespace" },
    });
    expect(asked.status).toBe(204);
    expect(asked.headers.get("access-control-allow-origin")).toBe(UI);
    expect(asked.headers.get("access-control-allow-headers")).toContain("x-namespace");
    const elsewhere = await ask("/decode", await sealed(1), {
      ...known,
      origin: "https://evil.example",
    });
    expect(elsewhere.status).toBe(403);
    expect(elsewhere.headers.get("access-control-allow-origin")).toBe(UI);
  });
});

describe("nothing is decoded for", () => {
  test.each([
    ["nobody", {}, 401],
    ["a wrong token", { authorization: `Bearer ${"b".repeat(32)}` }, 401],
    ["a token that is not a bearer's", { authorization: `Basic ${token}` }, 401],
    ["another namespace", { authorization: `Bearer ${token}`, "x-namespace": "other" }, 403],
  ])("%s", async (_, headers, status) => {
    const { ask, served } = await server();
    const answer = await ask("/decode", await sealed("secret"), headers);
    expect(answer.status).toBe(status);
    expect(await answer.json()).toEqual({ error: expect.any(String) as string });
    expect(served).toEqual([]);
  });

  test.each([
    [{ payloads: "all" }],
    [{ payloads: [{ data: "not base64!" }] }],
    [null],
    [{ payloads: [{ data: "A".repeat(9 * 1024 * 1024) }] }],
  ])("a body that is none: case %#", async (body) => {
    const { ask } = await server();
    const answer = await ask("/decode", body, known).catch(() => ({ status: 400 }));
    expect(answer.status).toBe(400);
  });

  test("a name that points to this machine, where no authorization is asked for", async () => {
    const { ask } = await server({ access: undefined });
    const { url } = await ask("/decode", await sealed(1));
    const { request } = await import("node:http");
    const status = await new Promise((done) => {
      const asked = request(
        url,
        { method: "POST", headers: { host: "evil.example:8081" } },
        (answer) => done(answer.statusCode),
      );
      asked.end("{}");
    });
    expect(status).toBe(403);
  });
});

describe("an access token of the web UI", () => {
  const issuer = "https://login.example.com/";
  const claim = "email";

  async function signer(): Promise<{
    access: Access;
    sign: (claims: object, by?: CryptoKey) => Promise<string>;
  }> {
    const { privateKey, publicKey } = await generateKeyPair("RS256");
    const jwk = { ...(await exportJWK(publicKey)), kid: "one", alg: "RS256" };
    const published = createServer((_, response) => response.end(JSON.stringify({ keys: [jwk] })));
    await new Promise<void>((listening) => published.listen(0, "127.0.0.1", listening));
    onTestFinished(() => void published.close());
    const { port } = published.address() as AddressInfo;
    const jwksUrl = new URL(`http://127.0.0.1:${port}/.well-known/jwks.json`);
    const accessTokens = { jwksUrl, issuer, claim, users: ["ann@example.com"] };
    const sign = (claims: object, by: CryptoKey = privateKey) =>
      new SignJWT({ email: "Ann@example.com", iss: issuer, exp: Date.now() / 1000 + 60, ...claims })
        .setProtectedHeader({ alg: "RS256", kid: "one" })
        .sign(by);
    return { access: accessBy({ token: undefined, accessTokens }), sign };
  }

  test("opens for a person who is named", async () => {
    const { access, sign } = await signer();
    expect(await access(`Bearer ${await sign({})}`)).toBe("ann@example.com");
  });

  test.each([
    ["somebody else's", { email: "eve@example.com" }],
    ["one without the claim", { email: undefined }],
    ["one that ran out", { exp: Date.now() / 1000 - 60 }],
    ["one that never runs out", { exp: undefined }],
    ["another issuer's", { iss: "https://evil.example/" }],
  ])("does not open for %s", async (_, claims) => {
    const { access, sign } = await signer();
    expect(await access(`Bearer ${await sign(claims)}`)).toBeUndefined();
  });

  test("does not open for one that somebody else signed, or nobody", async () => {
    const { access, sign } = await signer();
    const { privateKey } = await generateKeyPair("RS256");
    expect(await access(`Bearer ${await sign({}, privateKey)}`)).toBeUndefined();
    const [, body = ""] = (await sign({})).split(".");
    const none = Buffer.from('{"alg":"none"}').toString("base64url");
    expect(await access(`Bearer ${none}.${body}.`)).toBeUndefined();
    expect(await access(undefined)).toBeUndefined();
  });
});

describe("the settings", () => {
  const environment = { MODELFLEET_ENCRYPTION_KEYS: setting, TEMPORAL_NAMESPACE: "prod" };

  test("listen on the loopback address by default", async () => {
    const settings = await readCodecSettings(
      { ...environment, MODELFLEET_CODEC_TOKEN: token },
      false,
    );
    expect(settings).toMatchObject({ host: "127.0.0.1", port: 8081, namespace: "prod" });
    expect(settings.origin).toBeUndefined();
    expect(await settings.access?.(`Bearer ${token}`)).toBe("the token");
    expect((await readCodecSettings(environment, true)).access).toBeUndefined();
  });

  test.each([
    [{ MODELFLEET_ENCRYPTION_KEYS: "" }, false, /MODELFLEET_ENCRYPTION_KEYS is not set/],
    [{}, false, /nothing says who may/],
    [{ MODELFLEET_CODEC_HOST: "0.0.0.0" }, true, /loopback address only/],
    [{ MODELFLEET_CODEC_TOKEN: token }, true, /contradicts the settings/],
    [{ MODELFLEET_CODEC_TOKEN: "hunter2" }, false, /32 or more visible characters/],
    [{ MODELFLEET_CODEC_PORT: "http" }, true, /MODELFLEET_CODEC_PORT must be a port/],
    [{ MODELFLEET_CODEC_ORIGIN: "*" }, true, /MODELFLEET_CODEC_ORIGIN must be an origin/],
    [{ MODELFLEET_CODEC_JWKS_URL: "http://keys" }, false, /must be an https URL/],
    [{ MODELFLEET_CODEC_JWKS_URL: "https://keys" }, false, /needs MODELFLEET_CODEC_ISSUER and/],
  ])("refuse %j", async (changes, open, told) => {
    const failed = await readCodecSettings({ ...environment, ...changes }, open).catch(String);
    expect(failed).toMatch(told);
    expect(failed).not.toContain("hunter2");
  });
});
