/** What an example needs before its cycle: the stack or another, its data in the warehouse, a worker. */
import { statSync } from "node:fs";
import { join } from "node:path";
import { say } from "../client/cli/print.js";
import type { Shell } from "../client/cli/shell.js";
import { duration, several } from "../client/cli/words.js";
import { openConnections } from "../client/connections.js";
import { ClientError } from "../client/errors.js";
import { checkHealth } from "../client/health.js";
import { secret } from "../client/settings.js";
import { progressView } from "../local/progress-view.js";
import type { StackAccount } from "../local/stack/accounts.js";
import { packageRoot } from "../local/stack/package-root.js";
import { stackFolder } from "../local/stack/place.js";
import { startProcess, stopPart } from "../local/stack/processes.js";
import { startStack } from "../local/stack/start.js";
import { readStackFile } from "../local/stack/stack-file.js";
import { stackStatus } from "../local/stack/status.js";
import { stopStack } from "../local/stack/stop.js";
import type { Example } from "./example.js";
import { localPython } from "./local-python.js";

/** With `accounts` beside those that the stack has. Throws ClientError when it knows one of them otherwise. */
export async function startParts(
  shell: Shell,
  accounts: readonly StackAccount[] = [],
): Promise<void> {
  say(shell, "The parts  Postgres, Temporal, S3 and a SageMaker server, on this machine");
  const place = { baseDir: shell.directory };
  const stack = readStackFile(stackFolder(place));
  const missing = missingAccounts(stack?.accounts ?? [], accounts);
  if (missing.length > 0 && stack !== undefined && (await isUp(place))) {
    const names = missing.map(({ name }) => name).join(", ");
    say(shell, `  the stack is started again, with the accounts ${names}; its data stays`);
    await stopStack(place);
  }
  const view = progressView(shell);
  const all = missing.length === 0 ? {} : { accounts: [...(stack?.accounts ?? []), ...missing] };
  const { started } = await startStack({ ...place, ...all, ...view }).finally(view.done);
  if (started.length === 0) {
    say(shell, `${shell.progressColors.green("✓")} ${"stack".padEnd(10)} is up already`);
  }
}

/** An account that is there under another name, or a name of another account, would be a surprise for what uses it. */
function missingAccounts(
  known: readonly StackAccount[],
  wanted: readonly StackAccount[],
): StackAccount[] {
  const missing = wanted.filter((one) => !known.some(({ id }) => id === one.id));
  for (const { name, id } of wanted) {
    const other = known.find((one) => (one.name === name) !== (one.id === id));
    if (other === undefined) continue;
    throw new ClientError(
      `the stack has an account ${other.name}=${other.id}, and the example needs ${name}=${id}`,
      "run the example in another folder, which gets a stack of its own",
    );
  }
  return missing;
}

async function isUp(place: { baseDir: string }): Promise<boolean> {
  const { processes } = await stackStatus(place);
  return processes.some(({ state }) => state !== "stopped" && state !== "died");
}

/** Nothing is started: tells what `modelfleet doctor` finds missing, and where the example will run. */
export async function checkParts(shell: Shell): Promise<void> {
  await step(shell, "parts", async (tell) => {
    tell("asking how they are");
    const connections = openConnections(process.env);
    try {
      const checks = await checkHealth(connections);
      const [problem, ...others] = checks.filter(({ state }) => state === "problem");
      if (problem !== undefined)
        throw new ClientError(
          `${problem.part}: ${problem.found}` +
            (others.length === 0 ? "" : ` (and ${several(others.length, "problem")} more)`),
          `${problem.mend ?? "mend it"}; npx modelfleet doctor checks every part`,
        );
      const account = checks.find(({ part }) => part === "aws account")?.found ?? "";
      return `are there: account ${account} in ${process.env.AWS_REGION ?? "its region"}, as MODELFLEET_ENV_FILE says`;
    } finally {
      await connections.close();
    }
  });
}

export async function loadData(
  shell: Shell,
  example: Example,
  settings: Readonly<Record<string, number>>,
): Promise<void> {
  await step(shell, "data", async (tell) =>
    example.load(await secret(process.env, "WAREHOUSE_URL"), settings, {
      tell,
      python: localPython,
    }),
  );
}

export async function startWorker(shell: Shell): Promise<void> {
  const place = { baseDir: shell.directory };
  await step(shell, "worker", async (tell) => {
    tell("starting");
    if (await isOutdated(place)) await stopPart(place, "worker");
    await startProcess(place, {
      name: "worker",
      command: process.execPath,
      args: [join(packageRoot(), "bin/modelfleet.js"), "worker"],
      env: workerEnvironment(),
      cwd: shell.directory,
      readyWhen: /worker ready/,
    });
    return "asks Temporal for work";
  });
}

/** A worker runs on the code it was started with: one that is older than the build is replaced. */
async function isOutdated(place: { baseDir: string }): Promise<boolean> {
  const { processes } = await stackStatus(place);
  const worker = processes.find(({ name }) => name === "worker");
  if (worker?.state !== "running" || worker.uptimeSeconds === null) return false;
  const built = statSync(join(packageRoot(), "dist/workflow-bundle.js")).mtimeMs;
  return Date.now() - worker.uptimeSeconds * 1000 < built;
}

function workerEnvironment(): Record<string, string> {
  const environment: Record<string, string> = {};
  for (const name of ["PATH", "HOME", "TMPDIR", "LANG", "NODE_OPTIONS", "MODELFLEET_ENV_FILE"]) {
    const value = process.env[name];
    if (value !== undefined) environment[name] = value;
  }
  return environment;
}

/** One line that changes while it is worked on, and stays with a tick and the time it took. */
export async function step(
  shell: Shell,
  name: string,
  work: (tell: (message: string) => void) => Promise<string>,
): Promise<void> {
  const begun = Date.now();
  const live = shell.stderr.isTTY === true;
  const { cyan, green } = shell.progressColors;
  const line = (mark: string, message: string) => `${mark} ${name.padEnd(10)} ${message}`;
  let drawn = 0;
  const tell = (message: string) => {
    if (!live || Date.now() - drawn < 80) return;
    drawn = Date.now();
    shell.stderr.write(`\r\u001b[K${line(cyan("…"), message)}`);
  };
  const said = await work(tell).catch((error: unknown) => {
    if (drawn > 0) shell.stderr.write("\n"); // The error begins a line of its own.
    throw error;
  });
  const took = duration((Date.now() - begun) / 1000);
  shell.stderr.write(`${live ? "\r\u001b[K" : ""}${line(green("✓"), `${said} (${took})`)}\n`);
}
