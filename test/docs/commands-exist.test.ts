/** No page shows a command or a flag that is not there. */
import { existsSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { modelfleet } from "../cli/modelfleet.js";
import { markdownFiles, shownCommands, words } from "./fenced.js";

const shown = markdownFiles().flatMap(shownCommands);

const helps = new Map<string, Promise<string>>();
function help(path: readonly string[]): Promise<string> {
  const key = path.join(" ");
  const known = helps.get(key);
  if (known !== undefined) return known;
  const asked = modelfleet([...path, "--help"]).then(({ stdout }) => stdout);
  helps.set(key, asked);
  return asked;
}

test("every modelfleet command in the documentation exists, with its flags", async () => {
  const commands = shown.filter(({ command }) =>
    /^([A-Z_]+=\S* )*(npx )?modelfleet /.test(command),
  );
  expect(commands.length).toBeGreaterThan(15);
  for (const { file, line, command } of commands) {
    const [name = "", sub = "", ...rest] = words(command.replace(/^.*?modelfleet /, ""));
    const nested = ["local", "schedule", "iam", "accounts"].includes(name) && !sub.startsWith("-");
    const path = nested ? [name, sub] : [name];
    const text = await help(path);
    expect(text, `${file}:${line} ${command}`).toContain(`Usage: modelfleet ${path.join(" ")}`);
    for (const flag of [sub, ...rest].filter((word) => word.startsWith("--")))
      expect(text, `${file}:${line} ${command}`).toContain(flag.replace(/=.*/, ""));
  }
});

test("every npm script in the documentation exists", () => {
  const described: unknown = JSON.parse(readFileSync("package.json", "utf8"));
  const { scripts } = described as { scripts: Record<string, string> };
  for (const { file, line, command } of shown) {
    const script = /^npm (?:run )?([a-z-]+)/.exec(command)?.[1];
    if (script === undefined || ["ci", "install"].includes(script)) continue;
    expect(Object.keys(scripts), `${file}:${line} ${command}`).toContain(script);
  }
});

test("every example in the documentation exists", () => {
  const names = shown.flatMap(
    ({ command }) => /^npm run example -- ([a-z-]+)/.exec(command)?.[1] ?? [],
  );
  expect(new Set(names).size).toBe(7);
  for (const name of names) expect(existsSync(`examples/${name}/example.ts`), name).toBe(true);
});

test("every link between the pages leads somewhere", () => {
  const broken = markdownFiles().flatMap((file) =>
    [...readFileSync(file, "utf8").matchAll(/\]\((?!https?:|#)([^)#\s]+)/g)]
      .map((match) => new URL(match[1] ?? "", new URL(file, "file:///")).pathname.slice(1))
      // A folder is shown by its README.
      .filter((target) => !existsSync(target.replace(/\/$/, "/README.md")))
      .map((target) => `${file} links to ${target}`),
  );
  expect(broken).toEqual([]);
});
