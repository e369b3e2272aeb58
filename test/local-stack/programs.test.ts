import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { findPython } from "../../local/stack/find-python.js";
import { runCommand } from "../../local/stack/run-command.js";
import { StackError } from "../../local/stack/stack-error.js";
import { findTool, TEMPORAL, WEED } from "../../local/stack/tools.js";
import { temporaryFolder } from "./temporary-folder.js";

/** A program that prints the lines and does nothing else. */
function aProgram(name: string, ...lines: string[]): string {
  const folder = join(temporaryFolder(), "bin");
  mkdirSync(folder);
  const file = join(folder, name);
  writeFileSync(file, `#!/bin/sh\ncat <<'END'\n${lines.join("\n")}\nEND\n`);
  chmodSync(file, 0o755);
  return folder;
}

test("a Python that is new enough and has venv is taken", async () => {
  const python = join(aProgram("python3", "/usr/bin/python3.12", "3.12.4", "venv"), "python3");
  expect(await findPython(python)).toEqual({ path: "/usr/bin/python3.12", version: "3.12.4" });
});

test.each([
  [["/usr/bin/python3.9", "3.9.18", "venv"], /3\.9\.18/],
  [["/usr/bin/python2", "2.7.18", "venv"], /2\.7\.18/],
  [["/usr/bin/python3", "3.11.2", "no venv"], /has no venv module/],
  [["nonsense"], /none was found/],
])("a Python that answers %j is refused with the reason", async (lines, reason) => {
  const python = join(aProgram("python3", ...lines), "python3");
  await expect(findPython(python)).rejects.toThrowError(reason);
});

test("a missing Python is told in one line with what to do", async () => {
  const missing = await findPython("/nowhere/python3").catch((error: unknown) => error);
  expect(missing).toBeInstanceOf(StackError);
  expect(missing).toHaveProperty("type", "PythonMissing");
  expect(String(missing)).toMatch(/modelfleet needs Python 3\.11 or newer.*\/nowhere\/python3/);
  expect(missing).toHaveProperty("hint", expect.stringMatching(/MODELFLEET_PYTHON/));
});

test("a temporal on the PATH is used when it is new enough", async () => {
  const own = aProgram("temporal", "temporal version 1.10.0 (Server 1.33.0, UI 2.55.0)");
  const wheel = aProgram("temporal", "temporal version 1.9.1 (Server 1.32.0, UI 2.54.1)");
  expect(await findTool(TEMPORAL, `/nowhere:${own}`, wheel)).toEqual({
    path: join(own, "temporal"),
    version: "1.10.0",
  });
});

test("an old temporal on the PATH is passed over for the wheel's", async () => {
  const own = aProgram("temporal", "temporal version 1.4.1 (Server 1.28.0, UI 2.39.0)");
  const wheel = aProgram("temporal", "temporal version 1.9.1 (Server 1.32.0, UI 2.54.1)");
  expect(await findTool(TEMPORAL, own, wheel)).toEqual({
    path: join(wheel, "temporal"),
    version: "1.9.1",
  });
});

test("weed tells its version behind its volume size", async () => {
  const own = aProgram("weed", "version 8000GB 4.48 linux amd64");
  expect(await findTool(WEED, own, "/nowhere")).toMatchObject({ version: "4.48" });
});

test("a tool that is nowhere is told with how to get it", async () => {
  const missing = await findTool(WEED, "/nowhere", "/nowhere").catch((error: unknown) => error);
  expect(missing).toHaveProperty("type", "ToolMissing");
  expect(String(missing)).toContain("no weed of version 4.48 or newer");
  expect(missing).toHaveProperty("hint", "brew install seaweedfs");
});

test("an old tool and one that does not run are told with their versions and reasons", async () => {
  const old = aProgram("weed", "version 8000GB 4.40 linux amd64");
  const broken = aProgram("weed");
  writeFileSync(join(broken, "weed"), "#!/bin/sh\necho 'no such instruction' >&2\nexit 126\n");
  await expect(findTool(WEED, old, broken)).rejects.toThrowError(
    `${join(old, "weed")} has version 4.40; ${join(broken, "weed")} does not tell its version (no such instruction)`,
  );
});

test("a command that takes too long is ended, and so is said", async () => {
  expect(await runCommand("sleep", ["60"], { timeoutSeconds: 0.2 })).toEqual({
    code: null,
    lines: ["had not ended after 0.2 s"],
  });
  expect(await runCommand("sh", ["-c", "kill -9 $$"])).toEqual({
    code: null,
    lines: ["was ended by SIGKILL"],
  });
});
