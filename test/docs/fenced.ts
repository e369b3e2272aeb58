/** The commands that the documentation shows: the lines of its `sh` blocks, and `$` lines of its sessions. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

export interface ShownCommand {
  readonly file: string;
  readonly line: number;
  readonly command: string;
}

/** README files and docs/, not those of dependencies. */
export function markdownFiles(): string[] {
  const folders = [
    "docs",
    "examples",
    "fleet",
    "settings",
    "workflows",
    "activities",
    "worker",
    "client",
    "local",
    "training",
    "bench",
  ];
  return [
    "README.md",
    ...folders.flatMap((folder) =>
      readdirSync(folder, { recursive: true, encoding: "utf8" })
        .filter((name) => name.endsWith(".md") && !name.includes("node_modules"))
        .map((name) => join(folder, name)),
    ),
  ];
}

export function shownCommands(file: string): ShownCommand[] {
  const shown: ShownCommand[] = [];
  let fence: string | undefined;
  for (const [index, text] of readFileSync(file, "utf8").split("\n").entries()) {
    const mark = /^\s*```(\w*)/.exec(text);
    if (mark !== null) {
      fence = fence === undefined ? (mark[1] ?? "") : undefined;
      continue;
    }
    const prompt = /^\s*\$ (.*)/.exec(text);
    const command = prompt?.[1] ?? (fence === "sh" ? text.trim() : "");
    if (fence === undefined || command === "" || command.startsWith("#")) continue;
    shown.push({ file, line: index + 1, command: command.replace(/\s+#.*$/, "") });
  }
  return shown;
}

/** Splits as a shell does, for what the documentation uses: spaces and quotes of both kinds. */
export function words(command: string): string[] {
  return [...command.matchAll(/"([^"]*)"|'([^']*)'|(\S+)/g)].map(
    (match) => match[1] ?? match[2] ?? match[3] ?? "",
  );
}
