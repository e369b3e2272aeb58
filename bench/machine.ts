/** Says on what a benchmark ran: without it a figure cannot be judged or repeated. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { cpus, loadavg, release, totalmem, type as osType } from "node:os";

/** `versions`: of the parts that the benchmark used, such as `{ Postgres: "18.4" }`. */
export function describeMachine(versions: Readonly<Record<string, string>>): string[] {
  const parts = Object.entries({ Node: process.versions.node, ...versions });
  return [
    `${new Date().toISOString().slice(0, 16).replace("T", " ")} UTC, commit ${commit()}`,
    `${cpuModel()}, ${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GiB memory, ${osName()}`,
    parts.map(([name, version]) => `${name} ${version}`).join(", "),
    `load average when it started: ${loadavg()
      .map((load) => load.toFixed(1))
      .join(", ")}`,
  ];
}

function commit(): string {
  const git = (...args: string[]) =>
    execFileSync("git", args, { cwd: import.meta.dirname, encoding: "utf8" }).trim();
  try {
    // The file that the run itself writes must not mark the next one as changed.
    const changed = git("status", "--porcelain", "--", ":/", ":(exclude,top)bench/RESULTS.md");
    return (
      git("rev-parse", "--short", "HEAD") + (changed === "" ? "" : " with uncommitted changes")
    );
  } catch {
    return "unknown (no git)";
  }
}

function cpuModel(): string {
  const model = cpus()[0]?.model.trim() ?? "";
  return model === "" || model === "unknown" ? process.arch : model.replace(/\s+/g, " ");
}

function osName(): string {
  if (osType() !== "Linux") return `${osType()} ${release()}`;
  const name = /^PRETTY_NAME="?([^"\n]*)/m.exec(readFileSync("/etc/os-release", "utf8"))?.[1];
  return `${name ?? "Linux"} (Linux ${release()})`;
}
