/** The `modelfleet` command. Each subcommand's module, and all that it imports, loads only when it is called. */
import { readFileSync } from "node:fs";
import { Command, CommanderError } from "commander";
import { EXIT } from "./exit-codes.js";
import { reportError } from "./report-error.js";
import { processShell, type Shell } from "./shell.js";

interface Subcommand {
  readonly name: string;
  readonly summary: string;
  readonly group: "Declare" | "Run" | "Decide" | "Look" | "Operate";
  /** Adds arguments, options, help and the action. */
  readonly configure: () => Promise<(command: Command, shell: Shell) => void>;
}

const SUBCOMMANDS: readonly Subcommand[] = [
  {
    name: "validate",
    summary: "check fleet files, and their queries against the warehouse",
    group: "Declare",
    configure: async () => (await import("./validate.js")).configureValidate,
  },
  {
    name: "plan",
    summary: "show what a run would do and cost, without doing it",
    group: "Declare",
    configure: async () => (await import("./plan.js")).configurePlan,
  },
  {
    name: "apply",
    summary: "bring a fleet's schedule in line with its file",
    group: "Declare",
    configure: async () => (await import("./apply.js")).configureApply,
  },
  {
    name: "run",
    summary: "retrain a fleet now, and follow it",
    group: "Run",
    configure: async () => (await import("./run.js")).configureRun,
  },
  {
    name: "drift",
    summary: "look for customers whose data or errors have changed, and retrain those",
    group: "Run",
    configure: async () => (await import("./drift.js")).configureDrift,
  },
  {
    name: "status",
    summary: "show how fleets, a cycle or one customer stand",
    group: "Run",
    configure: async () => (await import("./status.js")).configureStatus,
  },
  {
    name: "cancel",
    summary: "end a running cycle; what serves goes on serving",
    group: "Run",
    configure: async () => (await import("./cancel.js")).configureCancel,
  },
  {
    name: "schedule",
    summary: "show, pause, resume, trigger and backfill the schedules of fleets",
    group: "Run",
    configure: async () => (await import("./schedule.js")).configureSchedule,
  },
  {
    name: "models",
    summary: "list a fleet's models with their figures",
    group: "Decide",
    configure: async () => (await import("./models.js")).configureModels,
  },
  {
    name: "approve",
    summary: "approve models that wait for a decision: they go to serving",
    group: "Decide",
    configure: async () => (await import("./decide.js")).configureApprove,
  },
  {
    name: "deny",
    summary: "deny models that wait for a decision",
    group: "Decide",
    configure: async () => (await import("./decide.js")).configureDeny,
  },
  {
    name: "promote",
    summary: "hold, release or hurry a version on its way through the stages",
    group: "Decide",
    configure: async () => (await import("./promote.js")).configurePromote,
  },
  {
    name: "rollback",
    summary: "take the version that serves a customer back; the one before serves again",
    group: "Decide",
    configure: async () => (await import("./rollback.js")).configureRollback,
  },
  {
    name: "invoke",
    summary: "ask a customer's serving model for predictions",
    group: "Look",
    configure: async () => (await import("./invoke.js")).configureInvoke,
  },
  {
    name: "lineage",
    summary: "trace a served model back to its SQL, data, code, job and approver",
    group: "Look",
    configure: async () => (await import("./lineage.js")).configureLineage,
  },
  {
    name: "history",
    summary: "show past cycles, or a customer's evaluations over time",
    group: "Look",
    configure: async () => (await import("./history.js")).configureHistory,
  },
  {
    name: "cost",
    summary: "show what a fleet's jobs came to, beside what was planned",
    group: "Look",
    configure: async () => (await import("./cost.js")).configureCost,
  },
  {
    name: "endpoint",
    summary: "show how a fleet's endpoints stand, with their metrics as small charts",
    group: "Look",
    configure: async () => (await import("./endpoint.js")).configureEndpoint,
  },
  {
    name: "accounts",
    summary: "show what a fleet's stages need in each AWS account, and make what is missing",
    group: "Operate",
    configure: async () => (await import("./accounts.js")).configureAccounts,
  },
  {
    name: "iam",
    summary: "print the IAM policy of a customer's application",
    group: "Operate",
    configure: async () => (await import("./iam.js")).configureIam,
  },
  {
    name: "gc",
    summary: "delete what the fleet's retention no longer keeps",
    group: "Operate",
    configure: async () => (await import("./gc.js")).configureGc,
  },
  {
    name: "destroy",
    summary: "take down a fleet or a stage: endpoints, models, objects, schedule, ledger",
    group: "Operate",
    configure: async () => (await import("./destroy.js")).configureDestroy,
  },
  {
    name: "export",
    summary: "write all that the ledger knows of a fleet into its bucket",
    group: "Operate",
    configure: async () => {
      const { configureExport } = await import("./export.js");
      const load = async () => (await import("../../worker/rebuild.js")).exportFleet;
      return (command, shell) => configureExport(command, shell, load);
    },
  },
  {
    name: "import",
    summary: "rebuild a fleet in a ledger that was lost, from its lineage and the registry",
    group: "Operate",
    configure: async () => {
      const { configureImport } = await import("./import.js");
      const load = async () => (await import("../../worker/rebuild.js")).importFleet;
      return (command, shell) => configureImport(command, shell, load);
    },
  },
  {
    name: "worker",
    summary: "run a worker, until it is stopped",
    group: "Operate",
    configure: async () => {
      const { configureWorker } = await import("./worker.js");
      const load = async () => (await import("../../worker/main.js")).runWorker;
      return (command, shell) => configureWorker(command, shell, load);
    },
  },
  {
    name: "codec-server",
    summary: "let Temporal's web UI show what is encrypted, until it is stopped",
    group: "Operate",
    configure: async () => (await import("./codec-server.js")).configureCodecServer,
  },
  {
    name: "local",
    summary: "start, look at and stop the embedded stack",
    group: "Operate",
    configure: async () => (await import("../../local/cli.js")).configureLocal,
  },
  {
    name: "doctor",
    summary: "check every part and say how to mend it",
    group: "Operate",
    configure: async () => (await import("./doctor.js")).configureDoctor,
  },
];

async function main(): Promise<void> {
  // The SDK is pinned; that its next versions will ask for a newer Node is news to us, not to who runs this.
  process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= "true";
  const shell = processShell(process);
  // Whoever reads may have seen enough: `modelfleet status … | head` is no error.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
    process.exit(EXIT.done);
  });
  try {
    const program = await buildProgram(shell, process.argv.slice(2));
    await program.parseAsync();
  } catch (error) {
    if (error instanceof CommanderError) {
      shell.exit(error.exitCode === 0 ? EXIT.done : EXIT.wrongUsage);
      return;
    }
    shell.exit(reportError(shell, error, process.env.DEBUG?.includes("modelfleet") === true));
  }
}

async function buildProgram(shell: Shell, words: readonly string[]): Promise<Command> {
  const program = new Command("modelfleet");
  prepare(program, shell)
    .description(
      "One model per customer, retrained durably on Amazon SageMaker or on this machine.",
    )
    .version(packageVersion(), "-V, --version", "print the version")
    .helpCommand("help [command]", "explain a command")
    .addHelpText("after", FIRST_STEPS)
    // Else `approve … --version 2` would be asked of the program, which prints its own.
    .enablePositionalOptions();
  const called = words.filter((word) => !word.startsWith("-")).find((word) => word !== "help");
  for (const subcommand of SUBCOMMANDS) {
    const command = prepare(program.command(subcommand.name), shell)
      .summary(subcommand.summary)
      .description(sentence(subcommand.summary))
      .helpGroup(`${subcommand.group}:`);
    if (subcommand.name === called) (await subcommand.configure())(command, shell);
  }
  return program;
}

const FIRST_STEPS = `
Start here:
  $ modelfleet local up                       start everything on this machine
  $ modelfleet run examples/flights/fleet.ts  retrain the example fleet
  $ modelfleet status flight-delays           see how it stands

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 stopped watching (the run goes on).`;

function prepare(command: Command, shell: Shell): Command {
  return command
    .exitOverride()
    .showSuggestionAfterError(true)
    .helpOption("-h, --help", "explain this command")
    .configureHelp({ showGlobalOptions: false })
    .configureOutput({
      writeOut: (text) => shell.stdout.write(text.endsWith("\n") ? text : `${text}\n`),
      writeErr: (text) => shell.stderr.write(text),
      getOutHasColors: () => shell.colors.isColorSupported,
      getErrHasColors: () => shell.progressColors.isColorSupported,
      outputError: (text, write) => {
        const [line = "", ...rest] = text.trimEnd().split("\n");
        const tail = rest.map((more) => `  ${more}\n`).join("");
        const help = `${commandPath(command)} --help`;
        write(
          `${shell.progressColors.red("error:")} ${line.replace(/^error: /, "")}\n${tail}` +
            `  ${shell.progressColors.cyan("try:")} ${help}\n`,
        );
      },
    });
}

function commandPath(command: Command): string {
  const name = command.name();
  return command.parent === null ? name : `${commandPath(command.parent)} ${name}`;
}

function sentence(summary: string): string {
  return `${summary.charAt(0).toUpperCase()}${summary.slice(1)}.`;
}

function packageVersion(): string {
  // From dist/client/cli/ as from client/cli/, the nearest package.json above is ours.
  for (const up of ["../../../package.json", "../../package.json"]) {
    try {
      const described: unknown = JSON.parse(readFileSync(new URL(up, import.meta.url), "utf8"));
      if (typeof described === "object" && described !== null && "version" in described) {
        return String(described.version);
      }
    } catch {
      continue;
    }
  }
  return "unknown";
}

await main();
