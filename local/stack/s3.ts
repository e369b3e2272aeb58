/** The S3 part: SeaweedFS' gateway, with one versioned bucket and an identity for each of its users. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { awaitReady } from "./await-ready.js";
import { launch, type Launched } from "./launch.js";
import { serverEnvironment, type Part } from "./part.js";
import type { StackFolder } from "./place.js";
import type { StackPorts } from "./ports.js";
import { writePrivateFile } from "./private-file.js";
import { ensureVersionedBucket } from "./s3-bucket.js";
import { sessionsFile, usersFile, type S3Identities } from "./s3-identities.js";
import { refuseForeignSockets } from "./s3-sockets.js";
import { WEED, type Tool, type ToolKind } from "./tools.js";

export interface S3Options {
  readonly folder: StackFolder;
  readonly ports: StackPorts;
  readonly region: string;
  readonly bucket: string;
  readonly identities: S3Identities;
  readonly tool: (kind: ToolKind) => Promise<Tool>;
}

export function s3Part(options: S3Options): Part {
  const { s3, s3Internal } = options.ports;
  return {
    name: "s3",
    title: "S3 (SeaweedFS)",
    ports: [s3, ...Object.values(s3Internal)],
    start: (onLaunched) => start(options, onLaunched),
  };
}

async function start(options: S3Options, onLaunched: (launched: Launched) => void): Promise<void> {
  const { folder, ports } = options;
  refuseForeignSockets(ports);
  const tool = await options.tool(WEED);
  mkdirSync(folder.s3, { recursive: true, mode: 0o700 });
  const users = join(folder.s3, "users.json");
  const sessions = join(folder.s3, "sessions.json");
  writeJson(users, usersFile(options.identities));
  writeJson(sessions, sessionsFile(options.identities));
  const data = join(folder.s3, "data");
  mkdirSync(data, { recursive: true });
  const launched = await launch(folder, {
    name: "s3",
    command: tool.path,
    args: serverArguments(ports, { data, users, sessions }),
    env: serverEnvironment(),
    cwd: folder.s3,
    port: ports.s3,
    version: tool.version,
  });
  onLaunched(launched);
  const isReady = async () => {
    if (!(await hasVolumeServer(ports.s3Internal.master))) return false;
    await ensureVersionedBucket({
      endpoint: `http://127.0.0.1:${ports.s3}`,
      region: options.region,
      bucket: options.bucket,
      keys: options.identities.userKeys,
    });
    return true;
  };
  await awaitReady({ title: "S3", launched, timeoutSeconds: 60, probe: isReady });
}

const writeJson = (file: string, content: unknown): void =>
  writePrivateFile(file, `${JSON.stringify(content, null, 2)}\n`);

interface S3Files {
  readonly data: string;
  readonly users: string;
  readonly sessions: string;
}

function serverArguments(ports: StackPorts, { data, users, sessions }: S3Files): string[] {
  const { s3Internal: internal } = ports;
  const flags = {
    ip: "127.0.0.1",
    "ip.bind": "127.0.0.1",
    dir: data,
    "master.port": internal.master,
    "master.port.grpc": internal.masterGrpc,
    // It would tell its makers about this cluster.
    "master.telemetry": false,
    // One server that elects itself: with the defaults a first start takes 7 s and a restart 12 s, so 2 to 3 s.
    "master.peers": "none",
    "master.electionTimeout": "500ms",
    "master.heartbeatInterval": "100ms",
    // Volumes are made seven at a time for each bucket; small ones, as many as the disk holds.
    "master.volumeSizeLimitMB": 1024,
    "volume.max": 0,
    "volume.port": internal.volume,
    "volume.port.grpc": internal.volumeGrpc,
    "volume.preStopSeconds": 0,
    filer: true,
    "filer.port": internal.filer,
    "filer.port.grpc": internal.filerGrpc,
    s3: true,
    "s3.port": ports.s3,
    "s3.port.grpc": internal.gatewayGrpc,
    "s3.port.iceberg": 0,
    "s3.port.lance": 0,
    "s3.config": users,
    "s3.iam.config": sessions,
    // AWS answers NoSuchBucket; so must this.
    "s3.autoCreateBucket": false,
  };
  // Its own log files would grow in the system's temporary folder; ours is the one that `logs` shows.
  return [
    "-logtostderr=true",
    "server",
    ...Object.entries(flags).map(([flag, value]) => `-${flag}=${value}`),
  ];
}

const topologySchema = z.object({ Topology: z.object({ Max: z.number() }) });

/** The gateway answers before any volume server has registered, and then every PUT fails. */
async function hasVolumeServer(masterPort: number): Promise<boolean> {
  const answer = await fetch(`http://127.0.0.1:${masterPort}/dir/status`, {
    signal: AbortSignal.timeout(2000),
  });
  const topology = topologySchema.safeParse(await answer.json());
  return topology.success && topology.data.Topology.Max > 0;
}
