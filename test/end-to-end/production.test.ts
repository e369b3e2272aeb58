/**
 * A worker as docs/production.md has it: settings by environment alone, secrets in files, payloads encrypted, its
 * version named, its health asked for; stopped in the middle of a cycle, and another in its place.
 */
import { execFile, spawn, type ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { Client, Connection, type WorkflowExecutionInfo } from "@temporalio/client";
import { Worker } from "@temporalio/worker";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { payloadCodec } from "../../settings/payload-codec.js";
import { readPayloadKeys } from "../../settings/payload-keys.js";
import { scheduleId, workflowIds } from "../../workflows/messages.js";
import { modelfleet, type Ran } from "../cli/modelfleet.js";
import { shownCommands, words } from "../docs/fenced.js";
import { setFaults } from "../faults/sagemaker-admin.js";
import { makeSmallFleet, type SmallFleet } from "../faults/small-fleet.js";
import { startTestStack, type TestStack } from "../stack.js";
import { watchedProcess } from "../watched-process.js";
import { quietWorkers } from "../workflows/environment.js";

const BASE_PORT = 19840;
const HEALTH_PORT = 19876;
const CODEC_PORT = 19877;
const DEPLOYMENT = "modelfleet";
const TOKEN = randomBytes(24).toString("hex");
const SHUTDOWN_SECONDS = 18;
const keyring = `2026-11:${randomBytes(32).toString("base64")}`;
const temporalBinary = process.env.MODELFLEET_TEST_TEMPORAL ?? "";

let stack: TestStack;
let environment: Record<string, string>;
let temporal: Client;
let fleet: SmallFleet;
const programs: ChildProcess[] = [];

beforeAll(async () => {
  quietWorkers();
  stack = await startTestStack({ basePort: BASE_PORT });
  environment = await asInAContainer(stack);
  const connection = await Connection.connect({
    address: stack.environment.TEMPORAL_ADDRESS ?? "",
  });
  temporal = new Client({ connection }); // Without keys: it sees what Temporal stores.
  fleet = await makeSmallFleet(stack, {
    name: "sealed",
    customers: ["Zürich Hauptbahnhof", "Genève-Cornavin", "Lugano", "Chur", "Basel", "Olten"],
    concurrency: 3,
    schedule: '{ kind: "monthly", day: 1, at: "03:00" }',
  });
});
afterAll(async () => {
  for (const program of programs.splice(0)) await end(program, "SIGKILL");
  await temporal.connection.close();
  await stack.close();
});

/** No file of settings; what is a secret, in a file of its own, as Kubernetes mounts it. */
async function asInAContainer(of: TestStack): Promise<Record<string, string>> {
  const { WAREHOUSE_URL = "", MODELFLEET_LEDGER_URL = "", ...settings } = of.environment;
  const secrets = { WAREHOUSE_URL, MODELFLEET_LEDGER_URL, MODELFLEET_ENCRYPTION_KEYS: keyring };
  const folder = join(of.folder, "secrets");
  await mkdir(folder);
  for (const [name, value] of Object.entries(secrets)) await writeFile(join(folder, name), value);
  const files = Object.keys(secrets).map((name) => [`${name}_FILE`, join(folder, name)] as const);
  return { ...settings, ...Object.fromEntries(files), MODELFLEET_ENV_FILE: "" };
}

const run = (...words: string[]): Promise<Ran> =>
  modelfleet(words, { directory: stack.folder, environment });

interface Program {
  readonly child: ChildProcess;
  /** What it said until it was ready. */
  readonly said: string;
}

/** Resolves when it says that it is ready. */
async function start(words: readonly string[], more: Record<string, string>): Promise<Program> {
  const child = spawn(process.execPath, [resolve("bin/modelfleet.js"), ...words], {
    cwd: stack.folder,
    env: { PATH: process.env.PATH, ...watchedProcess(), ...environment, ...more },
    stdio: ["ignore", "ignore", "pipe"],
  });
  programs.push(child);
  const lines: string[] = [];
  const ready = new Promise<void>((isReady, failed) => {
    createInterface({ input: child.stderr }).on("line", (line) => {
      lines.push(line);
      if (/\bready\b/.test(line)) isReady();
    });
    child.once("exit", (code) => failed(new Error(`ended with ${code}:\n${lines.join("\n")}`)));
  });
  await ready;
  return { child, said: lines.join("\n") };
}

const startWorker = (): Promise<Program> =>
  start(["worker"], {
    MODELFLEET_HEALTH_PORT: String(HEALTH_PORT),
    MODELFLEET_SHUTDOWN_SECONDS: String(SHUTDOWN_SECONDS),
    MODELFLEET_DEPLOYMENT: DEPLOYMENT,
  });

async function end(program: ChildProcess, signal: NodeJS.Signals): Promise<number | null> {
  if (program.exitCode === null && program.signalCode === null) {
    program.kill(signal);
    await once(program, "exit");
  }
  return program.exitCode;
}

async function temporalCommand(...words: string[]): Promise<string> {
  const address = ["--address", stack.environment.TEMPORAL_ADDRESS ?? ""];
  const most = { maxBuffer: 64 * 1024 * 1024 };
  return (await promisify(execFile)(temporalBinary, [...words, ...address], most)).stdout;
}

/** The page's commands on worker deployments, as words, without the question that they ask on a terminal. */
function temporalCommandsOf(page: string): string[][] {
  const commands = readFileSync(page, "utf8").matchAll(/^ *temporal (worker deployment .+)$/gm);
  const found = [...commands].map(([, command = ""]) => words(command));
  expect(found.map(([, , name]) => name)).toEqual(["set-current-version", "describe-version"]);
  return found.map((command) => [
    ...command,
    ...(command[2]?.startsWith("set-") === true ? ["--yes"] : []),
  ]);
}

const health = async (page: string): Promise<number> =>
  (await fetch(`http://127.0.0.1:${HEALTH_PORT}/health/${page}`)).status;

/** Of everything: payloads that are not encrypted, and failures that say something, each with where it is. */
function plaintext(value: unknown, path = ""): string[] {
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return [];
  if ("metadata" in value && "data" in value) {
    const { encoding } = value.metadata as Record<string, Uint8Array>;
    return Buffer.from(encoding ?? []).toString() === "binary/encrypted" ? [] : [path];
  }
  const said =
    "encodedAttributes" in value && "message" in value && value.message !== "Encoded failure"
      ? [`${path}.message`]
      : [];
  const inner = Object.entries(value)
    // Plain on purpose: Temporal searches by them. docs/encryption.md says so.
    .filter(([key]) => key !== "searchAttributes")
    .flatMap(([key, member]) => plaintext(member, `${path}.${key}`));
  return [...said, ...inner];
}

async function allWorkflows(): Promise<WorkflowExecutionInfo[]> {
  const found: WorkflowExecutionInfo[] = [];
  for await (const one of temporal.workflow.list()) found.push(one);
  return found;
}

test("a cycle goes on with another worker when the first is told to stop", async () => {
  const first = await startWorker();
  const version = /version modelfleet\.(\S+);/.exec(first.said)?.[1] ?? "";
  expect(version).toMatch(/^\d+\.\d+\.\d+-[0-9a-f]{12}$/);
  for (const command of temporalCommandsOf("docs/upgrade.md"))
    await temporalCommand(...command.map((word) => (/^0\.1\.0-/.test(word) ? version : word)));
  expect(await health("live")).toBe(200);
  expect(await health("ready")).toBe(200);

  await setFaults(stack, { slowStartSeconds: 1 });
  const cycle = run("run", fleet.file, "--at", "2024-02-01", "--json");
  await expect.poll(async () => (await allWorkflows()).some(isSearching)).toBe(true);
  const told = Date.now();
  expect(await end(first.child, "SIGTERM")).toBe(0);
  expect(Date.now() - told).toBeLessThan(SHUTDOWN_SECONDS * 1000);
  await startWorker();
  const { code, stdout, stderr } = await cycle;

  expect(stderr).not.toContain("error:");
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ state: "completed", states: { serving: 6 } });
});

test("the commands of docs/production.md work with the same settings", async () => {
  const commands = shownCommands("docs/production.md").map(({ command }) => command);
  const ours = commands.filter((command) => command.startsWith("modelfleet "));
  expect(ours.map((command) => words(command)[1])).toEqual(["doctor", "validate", "plan", "apply"]);
  for (const command of ours) {
    const { code, stdout, stderr } = await run(
      ...words(
        command.replace("path/to/fleet.ts", fleet.file).replace("2026-11-01", "2024-02-01"),
      ).slice(1),
    );
    expect({ command, code, stderr: code === 0 ? "" : stderr + stdout }).toEqual({
      command,
      code: 0,
      stderr: "",
    });
  }
});

const isSearching = ({ type, status }: WorkflowExecutionInfo): boolean =>
  type === "retrainModel" && status.name === "RUNNING";

describe("what Temporal stores of it", () => {
  const shown = (fleetName: string) => workflowIds.retrainFleet(fleetName, "2024-02-01");

  test("a failure is told to whoever has the key", async () => {
    const broken = await makeSmallFleet(stack, { name: "broken", customers: ["Aarau"] });
    const text = await readFile(broken.file, "utf8");
    await writeFile(broken.file, text.replace("price from", "price / nosuch from"));
    const { code, stdout, stderr } = await run("run", broken.file, "--at", "2024-02-01", "--json");
    expect(code).toBe(1);
    expect(stdout + stderr).toContain("nosuch");
  });

  test("a schedule is applied, and found as it was applied", async () => {
    expect(await run("apply", fleet.file, "--yes")).toMatchObject({ code: 0 });
    const { stdout } = await run("apply", fleet.file, "--dry-run", "--json");
    expect(JSON.parse(stdout)).toMatchObject({ action: "nothing", changes: [] });
    const described = await temporal.workflowService.describeSchedule({
      namespace: "default",
      scheduleId: scheduleId(fleet.name),
    });
    expect(plaintext(described)).toEqual([]);
  });

  test("no argument, result, signal, memo, summary or failure is plain, in any workflow", async () => {
    const all = await allWorkflows();
    expect(new Set(all.map(({ type }) => type)).size).toBeGreaterThan(5);
    for (const { workflowId, runId, type } of all) {
      const handle = temporal.workflow.getHandle(workflowId, runId);
      const [history, { raw }] = [await handle.fetchHistory(), await handle.describe()];
      expect(plaintext(history), type).toEqual([]);
      expect(plaintext(raw), type).toEqual([]);
      const text = JSON.stringify(history);
      for (const word of ["sales_", "hunter2", "Hauptbahnhof", "nosuch", "WAREHOUSE_URL"])
        expect(text, `${type} ${word}`).not.toContain(word);
    }
  });

  test("it replays with the keys, and without them says which is missing", async () => {
    const keys = readPayloadKeys(keyring);
    const others = readPayloadKeys(`2027-01:${randomBytes(32).toString("base64")}`);
    if (keys === undefined || others === undefined) throw new Error("no keys");
    const code = await readFile("dist/workflow-bundle-encoded.js", "utf8");
    const failureConverterPath = resolve("dist/settings/encoded-failures.js");
    const dataConverter = { payloadCodecs: [payloadCodec(keys)], failureConverterPath };
    const failures: string[] = [];
    for await (const { workflowId, error } of Worker.runReplayHistories(
      { workflowBundle: { code }, dataConverter },
      temporal.workflow.list().intoHistories(),
    ))
      if (error !== undefined) failures.push(`${workflowId}: ${error.message}`);
    expect(failures).toEqual([]);

    const stranger = new Client({
      connection: temporal.connection,
      dataConverter: { payloadCodecs: [payloadCodec(others)] },
    });
    await expect(stranger.workflow.getHandle(shown("sealed")).result()).rejects.toThrow(
      'encrypted with the key "2026-11", and MODELFLEET_ENCRYPTION_KEYS has only 2027-01',
    );
  });

  test("the codec server shows it to the temporal command, with the token", async () => {
    const { said } = await start(["codec-server"], {
      MODELFLEET_CODEC_PORT: String(CODEC_PORT),
      MODELFLEET_CODEC_TOKEN: TOKEN,
    });
    expect(said).toContain(`http://127.0.0.1:${CODEC_PORT}, for namespace default`);
    const show = ["workflow", "show", "--workflow-id", shown("sealed"), "--output", "json"];
    expect(await temporalCommand(...show)).not.toContain("weekday");
    const codec = ["--codec-endpoint", `http://127.0.0.1:${CODEC_PORT}`];
    const decoded = await temporalCommand(...show, ...codec, "--codec-auth", `Bearer ${TOKEN}`);
    const opened = [...decoded.matchAll(/"data": "([^"]*)"/g)].map(([, data = ""]) =>
      Buffer.from(data, "base64").toString(),
    );
    expect(opened.join("\n")).toContain("promotion::int as promotion");
    const asked = await fetch(`http://127.0.0.1:${CODEC_PORT}/decode`, {
      method: "POST",
      body: "{}",
    });
    expect(asked.status).toBe(401);
  });
});
