import { appendFileSync, mkdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { Command, CommanderError } from "commander";
import { createColors } from "picocolors";
import { expect, onTestFinished, test } from "vitest";
import { configureLocal } from "../../local/cli.js";
import { readLogs } from "../../local/stack/logs.js";
import { stackFolder } from "../../local/stack/place.js";
import { ensureStackFile } from "../../local/stack/stack-file.js";
import { temporaryFolder } from "./temporary-folder.js";

const basePort = 17_360;

/** Runs `modelfleet local …` in a folder, and catches what it prints and how it ends. */
async function local(directory: string, ...words: string[]) {
  const printed = { stdout: "", stderr: "", code: 0, error: undefined as unknown };
  const colors = createColors(false);
  const shell = {
    stdin: process.stdin,
    stdout: { write: (text: string) => (printed.stdout += text) },
    stderr: { write: (text: string) => (printed.stderr += text) },
    directory,
    colors,
    progressColors: colors,
    exit: (code: number) => void (printed.code = code),
  };
  const program = new Command("modelfleet").exitOverride().configureOutput({
    writeOut: (text) => void (printed.stdout += text),
    writeErr: (text) => void (printed.stderr += text),
  });
  configureLocal(program.command("local"), shell);
  await program.parseAsync(["local", ...words], { from: "user" }).catch((error: unknown) => {
    if (!(error instanceof CommanderError)) printed.error = error;
  });
  return printed;
}

/** A folder with a stack that is down, and what its parts once logged. */
function aStackThatIsDown(logs: Readonly<Record<string, string>> = {}) {
  const baseDir = temporaryFolder();
  const folder = stackFolder({ baseDir });
  ensureStackFile(folder, { basePort });
  mkdirSync(folder.logs);
  for (const [part, text] of Object.entries(logs)) {
    writeFileSync(join(folder.logs, `${part}.log`), text);
  }
  return { baseDir, folder };
}

test("status of a stack that is down shows every part and ends with 1", async () => {
  const { baseDir } = aStackThatIsDown();
  const { stdout, code } = await local(baseDir, "status");
  expect(code).toBe(1);
  expect(stdout).toMatch(/postgres +stopped/);
  expect(stdout).toMatch(/sagemaker +stopped/);
  expect(stdout).toContain("Start what is down with: modelfleet local up\n");
});

test("status --json is one document", async () => {
  const { baseDir, folder } = aStackThatIsDown();
  const { stdout, code } = await local(baseDir, "status", "--json");
  expect(code).toBe(1);
  expect(JSON.parse(stdout)).toEqual({
    name: "local",
    state: folder.root,
    basePort,
    up: false,
    processes: ["postgres", "temporal", "s3", "sagemaker"].map((name) => ({
      name,
      state: "stopped",
      pid: null,
      port: null,
      version: null,
      memoryBytes: null,
      uptimeSeconds: null,
      log: null,
    })),
  });
});

test.each(["status", "logs", "down", "reset"])(
  "%s where there is no stack says how to start one",
  async (command) => {
    const { error } = await local(temporaryFolder(), command, "--name", "demo");
    expect(error).toHaveProperty("type", "StackMissing");
    expect(error).toHaveProperty("hint", "modelfleet local up --name demo");
  },
);

test("logs prints the last lines of all parts, each with its name", async () => {
  const { baseDir } = aStackThatIsDown({ postgres: "one\ntwo\nthree\n", s3: "four\n" });
  const { stdout } = await local(baseDir, "logs", "--lines", "2");
  expect(stdout).toBe("postgres  two\npostgres  three\ns3        four\n");
});

test("logs of one part prints its lines as they are", async () => {
  const { baseDir } = aStackThatIsDown({ postgres: "one\n", s3: "four\n" });
  expect((await local(baseDir, "logs", "s3")).stdout).toBe("four\n");
});

test("logs of an unknown part names those that there are", async () => {
  const { baseDir } = aStackThatIsDown({ postgres: "one\n", s3: "four\n" });
  const { error } = await local(baseDir, "logs", "redis");
  expect(String(error)).toContain('has no log of "redis"');
  expect(error).toHaveProperty("hint", "one of: postgres, s3");
});

test("following a log tells new lines as they are written", async () => {
  const { baseDir, folder } = aStackThatIsDown({ s3: "old\n" });
  const stop = new AbortController();
  const lines: string[] = [];
  const following = readLogs({
    baseDir,
    lines: 5,
    follow: stop.signal,
    onLine: (part, line) => lines.push(`${part}: ${line}`),
  });
  appendFileSync(join(folder.logs, "s3.log"), "new\nhalf a");
  await expect.poll(() => lines).toEqual(["s3: old", "s3: new"]);
  appendFileSync(join(folder.logs, "s3.log"), " line\n");
  await expect.poll(() => lines.at(-1)).toBe("s3: half a line");
  stop.abort();
  await following;
});

test("down of a stack that is down says so and is no failure", async () => {
  const { baseDir } = aStackThatIsDown();
  const { stdout, code, error } = await local(baseDir, "down");
  expect({ stdout, code, error }).toEqual({
    stdout: 'The stack "local" was not up.\n',
    code: 0,
    error: undefined,
  });
});

test("reset without a terminal and without --yes refuses, and removes nothing", async () => {
  const { baseDir } = aStackThatIsDown({ s3: "kept\n" });
  const { error } = await local(baseDir, "reset");
  expect(error).toHaveProperty("type", "ConfirmationNeeded");
  expect(error).toHaveProperty("hint", "modelfleet local reset --yes");
  expect((await local(baseDir, "logs", "s3")).stdout).toBe("kept\n");
});

test("reset --yes removes the stack's state", async () => {
  const { baseDir } = aStackThatIsDown();
  expect((await local(baseDir, "reset", "--yes", "--json")).stdout).toContain('"removed": true');
  expect((await local(baseDir, "status")).error).toHaveProperty("type", "StackMissing");
});

test("up with a port in use fails before it starts anything", async () => {
  const { baseDir } = aStackThatIsDown();
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(basePort, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  const { error, stdout } = await local(baseDir, "up");
  expect(String(error)).toContain(`SageMaker server needs port ${basePort}, which process`);
  expect(stdout).toBe("");
});

test.each([["up", "--base-port", "http"], ["logs", "--lines", "many"], ["sideways"]])(
  "wrong usage (%s %s %s) is refused with what is expected",
  async (...words) => {
    const { stderr } = await local(temporaryFolder(), ...words);
    expect(stderr).toMatch(/error: (option .* is invalid\. give a |unknown command)/i);
  },
);

test("help names every command", async () => {
  const { stdout } = await local(temporaryFolder(), "--help");
  for (const command of ["up", "status", "logs", "down", "reset"]) {
    expect(stdout).toMatch(new RegExp(`^  ${command} `, "m"));
  }
});
