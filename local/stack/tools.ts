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

/** It is asked twice: a disk that still writes the packages installed a moment ago keeps a large program waiting. */
const answerSeconds = [60, 120];

/** Throws `StackError`, which says of each file that was there why it cannot be used. */
export async function findTool(
  kind: ToolKind,
  searchPath: string,
  binaries: string,
): Promise<Tool> {
  const onPath = searchPath
    .split(delimiter)
    .map((folder) => join(folder, kind.name))
    .find((file) => existsSync(file));
  const refusals: string[] = [];
  for (const path of [onPath, join(binaries, kind.name)]) {
    if (path === undefined || !existsSync(path)) continue;
    const answer = await askVersion(kind, path);
    if ("version" in answer) return { path, version: answer.version };
    refusals.push(`${path} ${answer.refusal}`);
  }
  const found = refusals.length === 0 ? "neither on the PATH nor as a wheel" : refusals.join("; ");
  throw new StackError(
    "ToolMissing",
    `no ${kind.name} of version ${kind.minimum.join(".")} or newer for this machine: ${found}`,
    kind.install,
  );
}

type Answer = { readonly version: string } | { readonly refusal: string };

async function askVersion(kind: ToolKind, path: string): Promise<Answer> {
  let reason = "";
  for (const timeoutSeconds of answerSeconds) {
    const { code, lines } = await runCommand(path, kind.versionArgs, { timeoutSeconds });
    const match = kind.pattern.exec(lines.join("\n"));
    if (code === 0 && match !== null) return judge(kind, match);
    reason = lines.at(-1)?.trim() ?? `ended with code ${code}`;
  }
  return { refusal: `does not tell its version (${reason})` };
}

function judge(kind: ToolKind, match: RegExpExecArray): Answer {
  const [major, minor] = [Number(match[1]), Number(match[2])];
  const version = `${major}.${minor}${match[3] ?? ""}`;
  const [wantedMajor, wantedMinor] = kind.minimum;
  const enough = major > wantedMajor || (major === wantedMajor && minor >= wantedMinor);
  return enough ? { version } : { refusal: `has version ${version}` };
}
