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
import { refuseForeignSockets } from "./s3-sockets.js";
import type { KeyPair } from "./stack-file.js";
import { WEED, type Tool, type ToolKind } from "./tools.js";

export interface S3Options {
  readonly folder: StackFolder;
  readonly ports: StackPorts;
  readonly account: string;
  readonly region: string;
  readonly bucket: string;
  readonly userKeys: KeyPair;
  readonly sagemakerKeys: KeyPair;
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
  const identities = join(folder.s3, "users.json");
  writePrivateFile(identities, `${JSON.stringify(users(options), null, 2)}\n`);
  const data = join(folder.s3, "data");
  mkdirSync(data, { recursive: true });
  const launched = await launch(folder, {
    name: "s3",
    command: tool.path,
    args: serverArguments(ports, data, identities),
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
      keys: options.userKeys,
    });
    return true;
  };
  await awaitReady({ title: "S3", launched, timeoutSeconds: 60, probe: isReady });
}

function serverArguments(ports: StackPorts, data: string, identities: string): string[] {
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
    "s3.config": identities,
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

/** Both belong to one account; who does what shows in the SageMaker server's log. */
function users(options: S3Options): unknown {
  const identity = (name: string, keys: KeyPair) => ({
    name,
    credentials: [{ accessKey: keys.accessKeyId, secretKey: keys.secretAccessKey }],
    actions: ["Admin"],
    account: { id: options.account, displayName: options.account },
  });
  return {
    identities: [identity("user", options.userKeys), identity("sagemaker", options.sagemakerKeys)],
  };
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
