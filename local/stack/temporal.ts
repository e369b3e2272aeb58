/** The Temporal part: the dev server with its web UI, its state in one SQLite file. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { SEARCH_ATTRIBUTES } from "../../fleet/search-attributes.js";
import { awaitReady } from "./await-ready.js";
import { isGrpcServing } from "./grpc-health.js";
import { launch, type Launched } from "./launch.js";
import { lastLines } from "./log-tail.js";
import { serverEnvironment, type Part } from "./part.js";
import type { StackFolder } from "./place.js";
import { TEMPORAL, type Tool, type ToolKind } from "./tools.js";

export const TEMPORAL_NAMESPACE = "default";

export interface TemporalOptions {
  readonly folder: StackFolder;
  readonly port: number;
  readonly uiPort: number;
  readonly tool: (kind: ToolKind) => Promise<Tool>;
}

export function temporalPart(options: TemporalOptions): Part {
  return {
    name: "temporal",
    title: "Temporal",
    ports: [options.port, options.uiPort],
    start: (onLaunched) => start(options, onLaunched),
  };
}

async function start(
  options: TemporalOptions,
  onLaunched: (launched: Launched) => void,
): Promise<void> {
  const { folder, port } = options;
  const tool = await options.tool(TEMPORAL);
  mkdirSync(folder.temporal, { recursive: true, mode: 0o700 });
  const launched = await launch(folder, {
    name: "temporal",
    command: tool.path,
    args: serverArguments(options),
    // Memory for time: collecting garbage a quarter as often takes a tenth off the server's share of a cycle.
    env: { ...serverEnvironment(), GOGC: "400" },
    cwd: folder.temporal,
    port,
    version: tool.version,
  });
  onLaunched(launched);
  await awaitReady({
    title: "Temporal",
    launched,
    timeoutSeconds: 60,
    probe: async () => saysReady(launched) && (await isTemporalServing(port)),
  });
}

export async function isTemporalServing(port: number): Promise<boolean> {
  return isGrpcServing(port, "temporal.api.workflowservice.v1.WorkflowService");
}

function serverArguments(options: TemporalOptions): string[] {
  const attributes = Object.values(SEARCH_ATTRIBUTES);
  return [
    ...["server", "start-dev", "--ip", "127.0.0.1", "--log-level", "warn"],
    ...["--port", String(options.port), "--ui-port", String(options.uiPort)],
    ...["--db-filename", join(options.folder.temporal, "temporal.db")],
    // With SQLite's defaults a step is 10 to 20 times slower. A killed server loses nothing with these.
    ...["--sqlite-pragma", "journal_mode=WAL", "--sqlite-pragma", "synchronous=NORMAL"],
    // Four partitions spread a task queue over many hosts; on one they only forward tasks to each other.
    ...["--dynamic-config-value", "matching.numTaskqueueReadPartitions=1"],
    ...["--dynamic-config-value", "matching.numTaskqueueWritePartitions=1"],
    // A workflow can be deleted when it is known that its end was dealt with, which is written down every 30 s by
    // default: `modelfleet destroy` waits for that.
    ...["--dynamic-config-value", 'history.transferProcessorUpdateAckInterval="1s"'],
    ...["--dynamic-config-value", 'history.visibilityProcessorUpdateAckInterval="1s"'],
    ...attributes.flatMap((attribute) => ["--search-attribute", `${attribute}=Keyword`]),
  ];
}

/** The server answers a moment before namespace and search attributes are registered; then it prints this. */
function saysReady({ record, logOffset }: Launched): boolean {
  return lastLines(record.log, 200, logOffset).some((line) => /^(Temporal )?Server:/.test(line));
}
