/** `modelfleet local`: the embedded stack from the command line. Each action loads its code when it is called. */
import { InvalidArgumentError, type Command } from "commander";
import { parseAccounts, type StackAccount } from "./stack/accounts.js";
import type { RunningStack } from "./stack/start.js";
import type { LocalShell } from "./shell.js";

interface PlaceOptions {
  readonly name: string;
  readonly state?: string;
}

export function configureLocal(command: Command, shell: LocalShell): void {
  command.description(
    "The embedded stack: Postgres, Temporal, S3 and a SageMaker server on this machine, in the background.",
  );
  configureUp(command, shell);
  configureStatus(command, shell);
  configureLogs(command, shell);
  configureDown(command, shell);
  configureReset(command, shell);
}

interface UpOptions extends PlaceOptions {
  readonly basePort?: number;
  readonly accounts?: readonly StackAccount[];
  readonly json?: boolean;
}

function configureUp(parent: Command, shell: LocalShell): void {
  withPlace(parent.command("up"))
    .description("Start what is not running; the first time also set everything up.")
    .option(
      "--base-port <port>",
      "first of the stack's 12 ports (default: the last used, or 7230)",
      port,
    )
    .option(
      "--accounts <name=id,...>",
      "AWS accounts beside 111111111111, such as qa=222222222222,prod=333333333333 (default: the last used)",
      accounts,
    )
    .option("--json", "print one JSON document")
    .action(async (options: UpOptions) => {
      const { startStack } = await import("./stack/start.js");
      const { progressView } = await import("./progress-view.js");
      const { printUp } = await import("./print-up.js");
      const begun = Date.now();
      const view = progressView(shell);
      let stack: RunningStack;
      try {
        const { basePort, accounts } = options;
        stack = await startStack({ ...place(shell, options), basePort, accounts, ...view });
      } finally {
        view.done();
      }
      printUp(shell, stack, { json: options.json === true, seconds: (Date.now() - begun) / 1000 });
    });
}

function configureStatus(parent: Command, shell: LocalShell): void {
  withPlace(parent.command("status"))
    .description(
      "Show each part: state, pid, port, version, memory, uptime. Exit code 1 if one is down.",
    )
    .option("--json", "print one JSON document")
    .action(async (options: PlaceOptions & { json?: boolean }) => {
      const { stackStatus } = await import("./stack/status.js");
      const { printStatus } = await import("./print-status.js");
      const status = await stackStatus(place(shell, options));
      printStatus(shell, status, options.json === true);
      if (!status.up) shell.exit(1);
    });
}

function configureLogs(parent: Command, shell: LocalShell): void {
  withPlace(parent.command("logs"))
    .description("Print what the parts log.")
    .argument(
      "[part]",
      "postgres, temporal, s3, sagemaker, or a process such as worker (default: all)",
    )
    .option("--follow", "go on with what is logged from now on, until Ctrl-C")
    .option("--lines <count>", "how many of the last lines", count, 20)
    .action(
      async (
        part: string | undefined,
        options: PlaceOptions & { follow?: boolean; lines: number },
      ) => {
        const { readLogs } = await import("./stack/logs.js");
        const stop = new AbortController();
        process.once("SIGINT", () => stop.abort());
        const colors = shell.colors;
        await readLogs({
          ...place(shell, options),
          process: part,
          lines: options.lines,
          follow: options.follow === true ? stop.signal : undefined,
          onLine: (name, line) => {
            const prefix = part === undefined ? `${colors.dim(name.padEnd(9))} ` : "";
            shell.stdout.write(`${prefix}${line}\n`);
          },
        });
      },
    );
}

function configureDown(parent: Command, shell: LocalShell): void {
  withPlace(parent.command("down"))
    .description("End exactly what the stack has started. Its data stays.")
    .option("--json", "print one JSON document")
    .action(async (options: PlaceOptions & { json?: boolean }) => {
      const { stopStack } = await import("./stack/stop.js");
      const { progressView } = await import("./progress-view.js");
      const view = progressView(shell);
      const stopped = await stopStack({ ...place(shell, options), ...view }).finally(view.done);
      if (options.json === true) {
        shell.stdout.write(`${JSON.stringify({ name: options.name, stopped }, null, 2)}\n`);
        return;
      }
      const what = stopped.length === 0 ? "was not up" : "is down; its data stays";
      shell.stdout.write(`The stack "${options.name}" ${what}.\n`);
    });
}

function configureReset(parent: Command, shell: LocalShell): void {
  withPlace(parent.command("reset"))
    .description("End the stack and remove all its data. Asks first.")
    .option("--yes", "do not ask")
    .option("--json", "print one JSON document")
    .action(async (options: PlaceOptions & { yes?: boolean; json?: boolean }) => {
      const { resetStack } = await import("./stack/reset.js");
      const { confirmReset } = await import("./confirm-reset.js");
      const { progressView } = await import("./progress-view.js");
      const where = place(shell, options);
      if (options.yes !== true && !(await confirmReset(shell, where))) {
        shell.stderr.write("nothing was removed\n");
        shell.exit(1);
        return;
      }
      const view = progressView(shell);
      await resetStack({ ...where, ...view }).finally(view.done);
      shell.stdout.write(
        options.json === true
          ? `${JSON.stringify({ name: options.name, removed: true }, null, 2)}\n`
          : `The stack "${options.name}" and its data are gone.\n`,
      );
    });
}

function withPlace(command: Command): Command {
  return command
    .option("--name <name>", "which stack, when there are several", "local")
    .option("--state <folder>", "its state folder (default: .modelfleet/<name>)");
}

function place(shell: LocalShell, options: PlaceOptions) {
  return { name: options.name, state: options.state, baseDir: shell.directory };
}

function port(value: string): number {
  if (/^\d{1,5}$/.test(value)) return Number(value);
  throw new InvalidArgumentError("give a port number.");
}

function accounts(value: string): StackAccount[] {
  try {
    return parseAccounts(value);
  } catch (error) {
    throw new InvalidArgumentError(error instanceof Error ? `${error.message}.` : String(error));
  }
}

function count(value: string): number {
  if (/^\d{1,6}$/.test(value)) return Number(value);
  throw new InvalidArgumentError("give a whole number.");
}
