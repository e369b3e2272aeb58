/** Where the server binaries come from: the PATH when new enough, else the wheels' in the environment. */
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { runCommand } from "./run-command.js";
import { StackError } from "./stack-error.js";

export interface Tool {
  readonly path: string;
  readonly version: string;
}

export interface ToolKind {
  readonly name: "temporal" | "weed";
  readonly versionArgs: readonly string[];
  readonly pattern: RegExp;
  /** The version that modelfleet is tested with; older ones are passed over. */
  readonly minimum: readonly [number, number];
  readonly install: string;
}

export const TEMPORAL: ToolKind = {
  name: "temporal",
  versionArgs: ["--version"],
  pattern: /temporal version (\d+)\.(\d+)(\.\d+)?/,
  minimum: [1, 9],
  install: "brew install temporal",
};

export const WEED: ToolKind = {
  name: "weed",
  versionArgs: ["version"],
  pattern: /\b(\d+)\.(\d+)(\.\d+)?\b/,
  minimum: [4, 48],
  install: "brew install seaweedfs",
};

export async function findTool(
  kind: ToolKind,
  searchPath: string,
  binaries: string,
): Promise<Tool> {
  const onPath = searchPath
    .split(delimiter)
    .map((folder) => join(folder, kind.name))
    .find((file) => existsSync(file));
  for (const path of [onPath, join(binaries, kind.name)]) {
    if (path === undefined || !existsSync(path)) continue;
    const version = await newEnough(kind, path);
    if (version !== undefined) return { path, version };
  }
  throw new StackError(
    "ToolMissing",
    `no ${kind.name} of version ${kind.minimum.join(".")} or newer: neither on the PATH nor as a wheel for this machine`,
    kind.install,
  );
}

/** Its version; undefined when it is too old or does not run here. */
async function newEnough(kind: ToolKind, path: string): Promise<string | undefined> {
  const { code, lines } = await runCommand(path, kind.versionArgs, { timeoutSeconds: 20 });
  const match = kind.pattern.exec(lines.join("\n"));
  if (code !== 0 || match === null) return undefined;
  const [major, minor] = [Number(match[1]), Number(match[2])];
  const [wantedMajor, wantedMinor] = kind.minimum;
  const enough = major > wantedMajor || (major === wantedMajor && minor >= wantedMinor);
  return enough ? `${major}.${minor}${match[3] ?? ""}` : undefined;
}
