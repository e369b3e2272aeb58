/** The same no-op work, six durable steps a customer, in the engines that a team might choose instead. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { bundleWorkflowCode, DefaultLogger } from "@temporalio/worker";
import pg from "pg";
import { z } from "zod";
import { answers, startBackground } from "../background-process.js";
import { lastJsonLine, runMeasured, type Contender } from "../measured-process.js";
import { cpuBetween, cpuSeconds, type RootProcess } from "../cpu-time.js";
import type { BenchStack } from "../stack.js";

export const STEPS_PER_CUSTOMER = 6;

export interface PeerRun {
  readonly seconds: number;
  /** When the engine writes its state later than it answers: until all of it was written. */
  readonly recordedSeconds?: number | undefined;
  /** 0..1: of the steps, those that its server knows of in the end. */
  readonly recordedShare?: number | undefined;
  readonly peakRssBytes: number;
  /** Of the client's process and of the servers that it used. */
  readonly cpuSeconds: number;
}

export interface PeerSize {
  readonly customers: number;
  readonly inFlight: number;
}

export type PeerPlace = Pick<BenchStack, "python" | "workFolder" | "processes">;

const resultSchema = z.object({
  seconds: z.number(),
  customers: z.number(),
  recordedSeconds: z.number().optional(),
  recordedShare: z.number().optional(),
});

export async function runDbos(
  place: PeerPlace,
  databaseUrl: string,
  size: PeerSize,
): Promise<PeerRun> {
  const args = [databaseUrl, ...sizeArgs(size)];
  return await runSteps(place, size, place.processes, nodeScript("dbos-steps.mjs", args));
}

export async function runTemporal(
  place: PeerPlace,
  { address, namespace }: { address: string; namespace: string },
  size: PeerSize,
): Promise<PeerRun> {
  const bundle = await bundleSteps(place.workFolder);
  const args = [address, namespace, bundle, ...sizeArgs(size)];
  return await runSteps(place, size, place.processes, nodeScript("temporal-steps.mjs", args));
}

/** Ahead of the measured process: a worker in production has its bundle made by the build. */
async function bundleSteps(folder: string): Promise<string> {
  const { code } = await bundleWorkflowCode({
    workflowsPath: join(import.meta.dirname, "temporal-steps-workflow.ts"),
    logger: new DefaultLogger("ERROR"),
  });
  const path = join(folder, "temporal-steps-bundle.js");
  await writeFile(path, code);
  return path;
}

export async function runPrefect(place: PeerPlace, port: number, size: PeerSize): Promise<PeerRun> {
  const url = `http://127.0.0.1:${port}/api`;
  const env = {
    PREFECT_HOME: join(place.workFolder, "prefect"),
    PREFECT_API_URL: url,
    PREFECT_SERVER_ANALYTICS_ENABLED: "false",
    PREFECT_LOGGING_TO_API_ENABLED: "false",
    PREFECT_LOGGING_LEVEL: "ERROR",
    DO_NOT_TRACK: "1",
  };
  const server = await startBackground({
    command: place.python.executable,
    args: [
      ...["-m", "prefect", "server", "start", "--no-ui"],
      ...["--host", "127.0.0.1", "--port", String(port)],
    ],
    env,
    logFile: join(place.workFolder, "prefect-server.log"),
    isReady: () => answers(`${url}/health`),
  });
  try {
    const script = join(import.meta.dirname, "prefect_steps.py");
    const args = [script, ...sizeArgs(size)];
    const servers = [{ name: "prefect", pid: server.pid }];
    const client = { command: place.python.executable, args, env };
    return await runSteps(place, size, servers, client);
  } finally {
    await server.stop();
  }
}

async function runSteps(
  place: PeerPlace,
  size: PeerSize,
  servers: readonly RootProcess[],
  client: Contender,
): Promise<PeerRun> {
  const before = cpuSeconds(servers);
  const { usage, stdout } = await runMeasured(place, client);
  const ofServers = Object.values(cpuBetween(before, cpuSeconds(servers)));
  const result = resultSchema.parse(lastJsonLine(stdout));
  if (result.customers !== size.customers) throw new Error(`it ran ${result.customers} customers`);
  return {
    seconds: result.seconds,
    recordedSeconds: result.recordedSeconds,
    recordedShare: result.recordedShare,
    peakRssBytes: usage.peakRssBytes,
    cpuSeconds: ofServers.reduce((sum, seconds) => sum + seconds, usage.cpuSeconds),
  };
}

function nodeScript(name: string, args: readonly string[]): Contender {
  const script = join(import.meta.dirname, name);
  return { command: process.execPath, args: [script, ...args] };
}

function sizeArgs({ customers, inFlight }: PeerSize): string[] {
  return [String(customers), String(inFlight)];
}

/** A database of its own on the stack's Postgres; returns its URL. */
export async function createDatabase(serverUrl: string, name: string): Promise<string> {
  const client = new pg.Client({ connectionString: serverUrl });
  await client.connect();
  try {
    await client.query(`create database ${name}`);
  } finally {
    await client.end();
  }
  const url = new URL(serverUrl);
  url.pathname = `/${name}`;
  return url.href;
}
