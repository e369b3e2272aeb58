/** `npm run bench -- NAME`: runs one benchmark on a stack of its own and keeps its figures in RESULTS.md. */
import { Command, InvalidArgumentError } from "commander";
import * as prettier from "prettier";
import { benchApprove, type ApproveOptions } from "./approve/approve.js";
import { benchCycle, type CycleOptions } from "./cycle/cycle.js";
import { benchDrift, type DriftOptions } from "./drift/drift.js";
import { benchEnsemble, type EnsembleOptions } from "./ensemble/ensemble.js";
import { benchExport, type ExportOptions } from "./export/export.js";
import { describeMachine } from "./machine.js";
import { benchPublish, type PublishOptions } from "./publish/publish.js";
import { benchRefresh, type RefreshOptions } from "./refresh/refresh.js";
import { renderReport, type Report } from "./report.js";
import { keepInResults } from "./results-file.js";
import { benchServing, type ServingOptions } from "./serving/serving.js";
import { benchSharded, type ShardedOptions } from "./sharded/sharded.js";
import { withStack, type BenchStack, type Tell } from "./stack.js";
import { benchWarmStart, type WarmStartOptions } from "./warm-start/warm-start.js";

type Findings = Pick<Report, "title" | "tables" | "notes"> & {
  readonly versions?: Readonly<Record<string, string>>;
};

/** What the command line says; the sizes that it leaves out depend on `quick`. */
type Given<Options> = Partial<Omit<Options, "quick">> & { readonly quick?: true };

const started = Date.now();
const tell: Tell = (line) => {
  const seconds = ((Date.now() - started) / 1000).toFixed(0).padStart(4);
  process.stderr.write(`${seconds} s  ${line}\n`);
};

const program = new Command("npm run bench --")
  .description("Measures modelfleet beside what else could do the work. See bench/README.md.")
  .showHelpAfterError();

benchmark("export", "rows out of the warehouse: modelfleet, raw COPY, pandas")
  .option("--copies <list>", "tables: how often each repeats the flights (1,30)", wholeNumbers)
  .option("--repetitions <n>", "measurements of each contender (5)", wholeNumber)
  .action((given: Given<ExportOptions>) =>
    run("export", given, (stack) => {
      const small = { quick: true, copies: [1, 2], repetitions: 2 };
      const full = { quick: false, copies: [1, 30], repetitions: 5 };
      return benchExport(stack, { ...(given.quick ? small : full), ...given }, tell);
    }),
  );

benchmark("cycle", "overhead per customer: modelfleet, Temporal alone, DBOS, Prefect")
  .option("--customers <list>", "fleet sizes (100,1000,5000)", wholeNumbers)
  .option("--prefect-up-to <n>", "largest size that Prefect runs too (1000)", wholeNumber)
  .option(
    "--profile <folder>",
    "write the worker's CPU profiles; with --quick, as it slows it down",
  )
  .action((given: Given<CycleOptions>) =>
    run("cycle", given, (stack) => {
      const small = { customers: [20], prefectUpTo: 20 };
      const full = { customers: [100, 1000, 5000], prefectUpTo: 1000 };
      return benchCycle(stack, { ...(given.quick ? small : full), ...given }, tell);
    }),
  );

benchmark("serving", "predictions through the endpoint, FastAPI, and a plain loop")
  .option("--models <n>", "models behind the endpoint (200)", wholeNumber)
  .option("--requests <n>", "warm requests of each contender (20000)", wholeNumber)
  .option("--clients <n>", "clients at a time (16)", wholeNumber)
  .action((given: Given<ServingOptions>) =>
    run("serving", given, (stack) => {
      const small = { models: 20, requests: 500, clients: 16 };
      const full = { models: 200, requests: 20_000, clients: 16 };
      return benchServing(stack, { ...(given.quick ? small : full), ...given }, tell);
    }),
  );

benchmark("sharded", "a cohort of Prophet models in one job, and in a plain pool of processes")
  .option("--customers <n>", "customers, a model each (1000)", wholeNumber)
  .option("--instances <list>", "sizes of the job, a cycle each (1,2)", wholeNumbers)
  .action((given: Given<ShardedOptions>) =>
    run("sharded", given, (stack) => {
      const small = { customers: 16, instances: [1, 2] };
      const full = { customers: 1000, instances: [1, 2] };
      return benchSharded(stack, { ...(given.quick ? small : full), ...given }, tell);
    }),
  );

benchmark("warm-start", "training jobs that a warm search saves over a cold one")
  .option("--destinations <n>", "destinations whose models are tuned (20)", wholeNumber)
  .option("--seeds <n>", "repetitions of each search with another seed (5)", wholeNumber)
  .option("--jobs <n>", "training jobs of one search (20)", wholeNumber)
  .action((given: Given<WarmStartOptions>) =>
    run("warm-start", given, (stack) => {
      const small = { quick: true, destinations: 2, seeds: 1, jobs: 3 };
      const full = { quick: false, destinations: 20, seeds: 5, jobs: 20 };
      return benchWarmStart(stack, { ...(given.quick ? small : full), ...given }, tell);
    }),
  );

benchmark("approve", "waiting releases decided in bulk, also when the worker is killed")
  .option("--models <n>", "releases that wait, in each of two runs (1000)", wholeNumber)
  .action((given: Given<ApproveOptions>) =>
    run("approve", given, (stack) =>
      benchApprove(stack, { models: given.quick ? 30 : 1000, ...given }, tell),
    ),
  );

benchmark("publish", "a cohort approved at once and published, beside a loop that only copies")
  .option("--members <list>", "sizes of the cohorts (1000,20000)", wholeNumbers)
  .action((given: Given<PublishOptions>) =>
    run("publish", given, (stack) =>
      benchPublish(stack, { members: given.quick ? [30] : [1000, 20_000], ...given }, tell),
    ),
  );

benchmark("refresh", "invocations while models are published, refreshed and withdrawn")
  .option("--clients <n>", "clients that invoke without pause (32)", wholeNumber)
  .option("--customers <n>", "models behind the endpoint (8)", wholeNumber)
  .option("--refreshes <n>", "publications with a refresh (10)", wholeNumber)
  .option("--withdrawals <n>", "versions that are denied (5)", wholeNumber)
  .option("--failures <n>", "refreshes that are rolled back first (2)", wholeNumber)
  .action((given: Given<RefreshOptions>) =>
    run("refresh", given, (stack) => {
      const small = { clients: 4, customers: 2, refreshes: 2, withdrawals: 1, failures: 1 };
      const full = { clients: 32, customers: 8, refreshes: 10, withdrawals: 5, failures: 2 };
      return benchRefresh(stack, { ...(given.quick ? small : full), ...given }, tell);
    }),
  );

benchmark("ensemble", "one job that trains two models, beside two jobs with one each")
  .option("--rows <list>", "rows of the data (442,200000)", wholeNumbers)
  .option("--repetitions <n>", "measurements of each contender (5)", wholeNumber)
  .action((given: Given<EnsembleOptions>) =>
    run("ensemble", given, (stack) => {
      const small = { rows: [442], repetitions: 2 };
      const full = { rows: [442, 200_000], repetitions: 5 };
      return benchEnsemble(stack, { ...(given.quick ? small : full), ...given }, tell);
    }),
  );

benchmark(
  "drift",
  "drift that is found and false alarms, synthetic and real; time and memory of a look",
)
  .option("--customers <n>", "synthetic customers of each change (200)", wholeNumber)
  .option("--copies <list>", "tables: how often each repeats the flights (1,30)", wholeNumbers)
  .option("--repetitions <n>", "measurements of each table (3)", wholeNumber)
  .action((given: Given<DriftOptions>) =>
    run("drift", given, (stack) => {
      const small = { quick: true, customers: 10, copies: [1, 2], repetitions: 1 };
      const full = { quick: false, customers: 200, copies: [1, 30], repetitions: 3 };
      return benchDrift(stack, { ...(given.quick ? small : full), ...given }, tell);
    }),
  );

await program.parseAsync();

function benchmark(name: string, description: string): Command {
  return program
    .command(name)
    .description(description)
    .option("--quick", "small sizes, to see that it works; not written to RESULTS.md");
}

async function run(
  name: string,
  options: { readonly quick?: true },
  measure: (stack: BenchStack) => Promise<Findings>,
): Promise<void> {
  const report = await withStack(tell, async (stack) => {
    // Before the work, so that the load average tells of others' work and not of ours.
    const machine = describeMachine(stack.versions);
    const findings = await measure(stack);
    const command = ["npm run bench --", ...process.argv.slice(2)].join(" ");
    return renderReport({ name, command, ...findings }, machine);
  });
  const section = await prettier.format(report, { parser: "markdown", printWidth: 100 });
  process.stdout.write(`\n${section}`);
  if (options.quick) return;
  keepInResults(name, section);
  tell("kept in bench/RESULTS.md");
}

function wholeNumber(text: string): number {
  if (!/^[1-9]\d*$/.test(text)) throw new InvalidArgumentError("a whole number above 0 is needed");
  return Number(text);
}

function wholeNumbers(text: string): number[] {
  return text.split(",").map(wholeNumber);
}
