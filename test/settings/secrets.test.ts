import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { parseReference } from "../../settings/secrets-manager.js";
import { SecretUnreadable, secretReader } from "../../settings/secrets.js";
import { readSettings } from "../../worker/settings.js";

const folder = mkdtempSync(join(tmpdir(), "modelfleet-secrets-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function file(name: string, content: string): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

describe("a secret is read from", () => {
  test("the variable of its name", async () => {
    expect(await secretReader({ WAREHOUSE_URL: "postgres://a" })("WAREHOUSE_URL")).toBe(
      "postgres://a",
    );
  });

  test("the file that NAME_FILE names, without the line break at its end, and anew every time", async () => {
    const path = file("url", "postgres://b\n");
    const secret = secretReader({ WAREHOUSE_URL_FILE: path, WAREHOUSE_URL: "" });
    expect(await secret("WAREHOUSE_URL")).toBe("postgres://b");
    file("url", "postgres://c");
    expect(await secret("WAREHOUSE_URL")).toBe("postgres://c");
  });

  test("nowhere, when the environment says nothing of it", async () => {
    const secret = secretReader({ WAREHOUSE_URL: "", WAREHOUSE_URL_FILE: "" });
    expect(await secret("WAREHOUSE_URL")).toBeUndefined();
  });
});

describe("what a reference leads to is told without a value", () => {
  const hush = "hunter2-is-the-password";

  test.each([
    ["a file that is not there", { X_FILE: `/nowhere/${hush}` }, /X_FILE names cannot .*ENOENT/],
    ["a folder", { X_FILE: folder }, /X_FILE names cannot be read \(EISDIR\)/],
    ["an empty file", { X_FILE: file("empty", "\n") }, /X_FILE names is empty/],
    ["two ways at once", { X: hush, X_FILE: `/nowhere/${hush}` }, /X and X_FILE are both set/],
    ["a value where a reference belongs", { X_SECRET: hush }, /X_SECRET does not refer/],
    ["a name without a region", { X_SECRET: "secretsmanager:db" }, /X_SECRET does not refer/],
  ])("%s", async (_, environment, told) => {
    const failed = await secretReader(environment)("X").catch((error: unknown) => error);
    expect(failed).toBeInstanceOf(SecretUnreadable);
    if (!(failed instanceof SecretUnreadable)) return;
    expect(failed.message).toMatch(told);
    expect(failed.hint).not.toBe("");
    expect(JSON.stringify([failed.message, failed.hint, failed.stack])).not.toContain(hush);
    expect(failed.cause).toBeUndefined();
  });
});

describe("a reference to AWS Secrets Manager", () => {
  const arn = "arn:aws:secretsmanager:eu-central-1:111111111111:secret:prod/db-a1B2c3";

  test.each([
    ["secretsmanager:prod/db", { id: "prod/db", region: "us-east-1", field: undefined }],
    ["secretsmanager:prod/db#url", { id: "prod/db", region: "us-east-1", field: "url" }],
    [`secretsmanager:${arn}#url`, { id: arn, region: "eu-central-1", field: "url" }],
    ["secretsmanager:arn:aws:iam::111111111111:role/x", undefined],
    ["prod/db", undefined],
  ])("%s", (reference, parsed) => {
    expect(parseReference(reference, "us-east-1")).toEqual(parsed);
  });
});

describe("with a Secrets Manager that answers", () => {
  const secrets = new Map<string, Record<string, unknown>>([
    ["plain", { SecretString: "postgres://from-aws" }],
    ["json", { SecretString: JSON.stringify({ url: "postgres://from-json", port: 5432 }) }],
    ["binary", { SecretBinary: "c2VjcmV0" }],
  ]);
  const asked: { target: string; id: string }[] = [];
  const server = createServer((request, response) => {
    void answer(request).then(({ status, body }) => {
      response.writeHead(status, { "content-type": "application/x-amz-json-1.1" }).end(body);
    });
  });

  async function answer(request: IncomingMessage): Promise<{ status: number; body: string }> {
    const { SecretId: id } = JSON.parse(await text(request)) as { SecretId: string };
    asked.push({ target: String(request.headers["x-amz-target"]), id });
    const found = secrets.get(id);
    if (found !== undefined) return { status: 200, body: JSON.stringify({ Name: id, ...found }) };
    const error = { __type: "ResourceNotFoundException", Message: "hush: can't find the secret" };
    return { status: 400, body: JSON.stringify(error) };
  }

  beforeAll(async () => {
    await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  });
  afterAll(() => void server.close());
  beforeEach(() => {
    asked.length = 0;
    const { port } = server.address() as AddressInfo;
    vi.stubEnv("AWS_ENDPOINT_URL_SECRETS_MANAGER", `http://127.0.0.1:${port}`);
    vi.stubEnv("AWS_ACCESS_KEY_ID", "AKIATEST");
    vi.stubEnv("AWS_SECRET_ACCESS_KEY", "test");
  });
  afterEach(() => {
    vi.useRealTimers();
    vi.unstubAllEnvs();
  });
  const reader = (reference: string) =>
    secretReader({ AWS_REGION: "us-east-1", X_SECRET: reference });

  test("a text secret is its text, asked for once and again after a while", async () => {
    vi.useFakeTimers({ toFake: ["Date"] });
    const secret = reader("secretsmanager:plain");
    expect(await secret("X")).toBe("postgres://from-aws");
    expect(await secret("X")).toBe("postgres://from-aws");
    expect(asked).toEqual([{ target: "secretsmanager.GetSecretValue", id: "plain" }]);
    vi.setSystemTime(Date.now() + 6 * 60 * 1000);
    await secret("X");
    expect(asked).toHaveLength(2);
  });

  test("a field of a JSON secret is its text", async () => {
    expect(await reader("secretsmanager:json#url")("X")).toBe("postgres://from-json");
  });

  test.each([
    ["missing", /does not give what X_SECRET refers to \(ResourceNotFoundException\)/],
    ["json#password", /has no such text/],
    ["json#port", /has no such text/],
    ["plain#url", /has no such text/],
    ["binary", /has no such text/],
  ])("%s is refused, and no part of a secret is told", async (id, told) => {
    const failed = await reader(`secretsmanager:${id}`)("X").catch((error: unknown) => error);
    expect(failed).toBeInstanceOf(SecretUnreadable);
    if (!(failed instanceof SecretUnreadable)) return;
    expect(failed.message).toMatch(told);
    expect(JSON.stringify([failed.message, failed.hint])).not.toMatch(/postgres:|hush/);
    expect(failed.cause).toBeUndefined();
  });
});

describe("the worker's settings", () => {
  const environment = {
    AWS_REGION: "us-east-1",
    MODELFLEET_BUCKET: "bucket",
    MODELFLEET_ROLE_ARN: "arn:aws:iam::111111111111:role/modelfleet-execution",
  };

  test("take the ledger's URL by reference, and fleets' secrets likewise", async () => {
    const settings = await readSettings({
      ...environment,
      MODELFLEET_LEDGER_URL_FILE: file("ledger", "postgres://ledger/modelfleet\n"),
      SLACK_WEBHOOK_URL_FILE: file("webhook", "https://hooks.example.com/x"),
    });
    expect(settings.ledgerUrl).toBe("postgres://ledger/modelfleet");
    expect(await settings.secret("SLACK_WEBHOOK_URL")).toBe("https://hooks.example.com/x");
  });

  test("tell all that is missing or wrong at once, and no value", async () => {
    const wrong = {
      ...environment,
      MODELFLEET_BUCKET: "",
      MODELFLEET_MAX_TRAINING_JOBS: "hunter2",
      MODELFLEET_LEDGER_URL_FILE: file("not-a-url", "hunter2"),
    };
    const failed = await readSettings(wrong).catch(String);
    expect(failed).toContain("MODELFLEET_BUCKET is not set");
    expect(failed).toContain("MODELFLEET_LEDGER_URL must be a URL such as postgres://");
    expect(failed).toContain("MODELFLEET_MAX_TRAINING_JOBS must be a number");
    expect(failed).not.toContain("hunter2");
  });
});
