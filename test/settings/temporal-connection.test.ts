/** Temporal's own settings are those that are used: TLS, certificates and API keys, by worker and client alike. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { TestWorkflowEnvironment } from "@temporalio/testing";
import { NativeConnection } from "@temporalio/worker";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { openConnections } from "../../client/connections.js";
import type { Environment } from "../../settings/environment.js";
import { secretReader } from "../../settings/secrets.js";
import { temporalSettings } from "../../settings/temporal.js";
import { modelfleet } from "../cli/modelfleet.js";
import { certify } from "./certificates.js";
import { startGateway, type GatewayOptions } from "./temporal-gateway.js";

const authority = certify("test authority");
const server = certify("temporal.test", authority);
const folder = mkdtempSync(join(tmpdir(), "modelfleet-tls-"));
let temporal: TestWorkflowEnvironment;

beforeAll(async () => {
  temporal = await TestWorkflowEnvironment.createLocal({
    server: {
      executable: { type: "existing-path", path: process.env.MODELFLEET_TEST_TEMPORAL ?? "" },
      extraArgs: ["--output", "none"],
      log: { format: "pretty", level: "never" },
    },
  });
});
afterAll(async () => {
  await temporal.teardown();
  rmSync(folder, { recursive: true, force: true });
});

function file(name: string, content: string): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

async function gateway(options: Omit<GatewayOptions, "upstream" | "server">) {
  const started = await startGateway({ upstream: temporal.address, server, ...options });
  onTestFinished(() => started.close());
  return started;
}

const settingsOf = (environment: Environment) =>
  temporalSettings(environment, secretReader(environment));

/** As the worker connects, and as client and command line do. */
async function connectAsWorker(environment: Environment): Promise<void> {
  const { connectionOptions } = await settingsOf(environment);
  await (await NativeConnection.connect(connectionOptions)).close();
}
async function askAsClient(environment: Environment): Promise<void> {
  const connections = openConnections(environment);
  try {
    const client = await connections.temporal();
    await client.workflowService.describeNamespace({ namespace: client.options.namespace });
  } finally {
    await connections.close();
  }
}

describe("behind TLS with an API key, as Temporal Cloud has it", () => {
  const apiKey = "key-that-is-secret";
  const reach = (address: string, more: Environment): Environment => ({
    TEMPORAL_ADDRESS: address,
    TEMPORAL_TLS_SERVER_CA_CERT_PATH: file("ca.pem", authority.certificate),
    ...more,
  });

  test("worker, client and command line send the key, from a variable or a file", async () => {
    const { address, calls } = await gateway({ apiKey });
    const byFile = reach(address, { TEMPORAL_API_KEY_FILE: file("key", `${apiKey}\n`) });
    await connectAsWorker(byFile);
    await askAsClient(byFile);
    await askAsClient(reach(address, { TEMPORAL_API_KEY: apiKey }));
    const before = calls.length;
    const { stdout } = await modelfleet(["doctor", "--json"], {
      directory: folder,
      environment: { ...(byFile as Record<string, string>), MODELFLEET_ENV_FILE: "" },
    });
    expect(stdout).toContain(`"found": "${address}, namespace default"`);
    expect(calls.length).toBeGreaterThan(before);
    expect(calls.every((call) => call.apiKey)).toBe(true);
  });

  test("a wrong key is refused by the server, and told by nobody", async () => {
    const { address } = await gateway({ apiKey });
    const wrong = reach(address, { TEMPORAL_API_KEY: "another-secret" });
    for (const connect of [connectAsWorker, askAsClient]) {
      const failed = await connect(wrong).then(() => "no error", String);
      expect(failed).not.toBe("no error");
      expect(failed).not.toContain("another-secret");
    }
  });

  test("a server whose certificate nobody vouches for is not talked to", async () => {
    const { address, calls } = await gateway({ apiKey });
    const untrusted = { TEMPORAL_ADDRESS: address, TEMPORAL_API_KEY: apiKey };
    await expect(connectAsWorker(untrusted)).rejects.toThrow();
    await expect(askAsClient(untrusted)).rejects.toThrow(/Temporal does not answer at localhost/);
    expect(calls).toEqual([]);
  });
});

describe("behind TLS with certificates on both sides", () => {
  const clientAuthority = certify("authority of clients");
  const client = certify("modelfleet worker", clientAuthority);

  test("worker and client show theirs", async () => {
    const { address, calls } = await gateway({ clientAuthority });
    const environment = {
      TEMPORAL_ADDRESS: address,
      TEMPORAL_TLS_SERVER_CA_CERT_PATH: file("ca.pem", authority.certificate),
      TEMPORAL_TLS_CLIENT_CERT_PATH: file("client.pem", client.certificate),
      TEMPORAL_TLS_CLIENT_KEY_PATH: file("client.key", client.key),
    };
    await connectAsWorker(environment);
    await askAsClient(environment);
    expect(calls.length).toBeGreaterThan(1);
    expect(new Set(calls.map((call) => call.client))).toEqual(new Set(["modelfleet worker"]));
  });

  test("without one they are turned away", async () => {
    const { address } = await gateway({ clientAuthority });
    const environment = {
      TEMPORAL_ADDRESS: address,
      TEMPORAL_TLS_SERVER_CA_CERT_PATH: file("ca.pem", authority.certificate),
    };
    await expect(connectAsWorker(environment)).rejects.toThrow();
    await expect(askAsClient(environment)).rejects.toThrow();
  });
});

describe("Temporal's settings", () => {
  test("may stand in a profile of temporal.toml, whose namespace is taken", async () => {
    const toml = '[profile.prod]\naddress = "prod.tmprl.cloud:7233"\nnamespace = "fleet.a1b2c"\n';
    const settings = await settingsOf({
      TEMPORAL_CONFIG_FILE: file("temporal.toml", toml),
      TEMPORAL_PROFILE: "prod",
    });
    expect(settings).toMatchObject({ address: "prod.tmprl.cloud:7233", namespace: "fleet.a1b2c" });
  });

  test("an API key turns TLS on, an empty one does not", async () => {
    const withKey = await settingsOf({ TEMPORAL_API_KEY: "key" });
    expect(withKey.connectionOptions).toMatchObject({ apiKey: "key", tls: true });
    const without = await settingsOf({ TEMPORAL_API_KEY: "" });
    expect(without).toMatchObject({ address: "127.0.0.1:7233", namespace: "default" });
    expect(without.connectionOptions.tls).toBeUndefined();
  });

  test.each([
    [{ TEMPORAL_PROFILE: "prod", TEMPORAL_CONFIG_FILE: "/nowhere" }, /'prod' not found/],
    [{ TEMPORAL_TLS_CLIENT_CERT_PATH: "/nowhere/client.pem" }, /no such file/],
  ])("that lead nowhere are told: %j", async (environment, told) => {
    await expect(settingsOf(environment)).rejects.toThrow(told);
  });
});
