/** `npm run bench -- warm-start`: how many training jobs a warm search needs to get as far as a cold one. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { SageMakerClient } from "@aws-sdk/client-sagemaker";
import { xgboostRanges } from "../../fleet/ranges.js";
import { tuningSchema } from "../../fleet/tuning.schema.js";
import { inFlight } from "../in-flight.mjs";
import { withLedger } from "../ledger.js";
import { runMeasured } from "../measured-process.js";
import type { Report, Table } from "../report.js";
import { ensureFlights, required, type BenchStack, type Tell } from "../stack.js";
import { formatNumber, median, percentile } from "../statistics.js";
import { jobsToReach, relativeCurve, type Trials } from "./curves.js";
import { exportDatasets, spreadOverSizes, tunedFleet, type Dataset } from "./datasets.js";
import { search, type SearchPlan } from "./searches.js";

export interface WarmStartOptions {
  readonly quick: boolean;
  readonly destinations: number;
  readonly seeds: number;
  /** Training jobs of each search. */
  readonly jobs: number;
}

/** Windows of six months that end here: each shares five of them with the one before. */
const CYCLES = ["2013-07-01", "2013-08-01", "2013-09-01"];
/** Searches at a time: the server runs as many training jobs as there are cores. */
const SEARCHES_AT_A_TIME = 4;

/** A cold and a warm search of the same rows with the same seed. */
interface Pair {
  readonly cycle: string;
  readonly customerKey: string;
  readonly cold: Trials;
  readonly warm: Trials;
}

export async function benchWarmStart(
  stack: BenchStack,
  options: WarmStartOptions,
  tell: Tell,
): Promise<Pick<Report, "title" | "tables" | "notes">> {
  await ensureFlights(stack, tell);
  const pairs = await withLedger(stack, async (ledger) => {
    const tuning = tuningSchema.parse({ ranges: xgboostRanges, maxJobs: options.jobs });
    const spec = await tunedFleet(stack, tuning);
    const datasets = await exportDatasets(stack, ledger, spec, CYCLES);
    const newest = [...(datasets.get(CYCLES.at(-1) ?? "")?.values() ?? [])];
    const chosen = spreadOverSizes(newest, options.destinations);
    const plan: SearchPlan = {
      spec,
      account: spec.stages[0].account,
      region: required(stack.environment, "AWS_REGION"),
      bucket: required(stack.environment, "MODELFLEET_BUCKET"),
      roleArn: required(stack.environment, "MODELFLEET_ROLE_ARN"),
    };
    // A seed of its own for each: else all destinations would begin with the same points.
    const runs = chosen.flatMap(({ customerKey }, place) =>
      Array.from({ length: options.seeds }, (_, seed) => ({
        seed: place * options.seeds + seed + 1,
        datasets: CYCLES.flatMap((cycle) => datasets.get(cycle)?.get(customerKey) ?? []),
      })),
    );
    return await searchAll(plan, runs, tell);
  });
  if (!options.quick) await plot(stack, pairs, options.jobs);
  return {
    title: "training jobs that a warm search needs for what a cold one found",
    tables: [reachTable(pairs, options.jobs), qualityTable(pairs, options.jobs)],
    notes: notes(options),
  };
}

async function searchAll(
  plan: SearchPlan,
  runs: readonly { readonly seed: number; readonly datasets: readonly Dataset[] }[],
  tell: Tell,
): Promise<Pair[]> {
  const sagemaker = new SageMakerClient({ maxAttempts: 10 });
  const pairs: Pair[] = [];
  let done = 0;
  await inFlight({ count: runs.length, limit: SEARCHES_AT_A_TIME }, async (number) => {
    const run = runs[number];
    if (run === undefined) return;
    pairs.push(...(await searchOne(sagemaker, plan, run)));
    done += 1;
    tell(`${done} of ${runs.length}: ${run.datasets[0]?.customerKey}, seed ${run.seed}`);
  });
  return pairs;
}

/** Month after month, each warm search starting from the one of the month before. */
async function searchOne(
  sagemaker: SageMakerClient,
  plan: SearchPlan,
  { seed, datasets }: { readonly seed: number; readonly datasets: readonly Dataset[] },
): Promise<Pair[]> {
  const pairs: Pair[] = [];
  let parent: string | undefined;
  for (const { cycle, customerKey, dataHash } of datasets) {
    const place = { ...plan, cycle, customerKey, dataHash, seed };
    const cold = await search(sagemaker, place, undefined);
    if (parent === undefined) {
      parent = cold.tuningJobName;
      continue;
    }
    const warm = await search(sagemaker, place, parent);
    pairs.push({ cycle, customerKey, cold: cold.trials, warm: warm.trials });
    parent = warm.tuningJobName;
  }
  return pairs;
}

const coldBest = ({ cold }: Pair): number => Math.min(...cold.map((value) => value ?? Infinity));

/** A search that never got there counts as one that would need more than all its jobs. */
const jobsNeeded = (pair: Pair): number => jobsToReach(pair.warm, coldBest(pair)) ?? Infinity;

function reachTable(pairs: readonly Pair[], jobs: number): Table {
  const third = Math.floor(jobs / 3);
  const row = (title: string, of: readonly Pair[]) => {
    const needed = of.map(jobsNeeded);
    const share = (most: number) =>
      `${formatNumber((needed.filter((n) => n <= most).length / needed.length) * 100, 0)} %`;
    const shown = (p: number) => {
      const value = percentileOfCounts(needed, p);
      return Number.isFinite(value) ? String(value) : `> ${jobs}`;
    };
    return [title, String(of.length), shown(50), shown(25), shown(75), share(third), share(jobs)];
  };
  const months = CYCLES.slice(1).map((cycle) =>
    row(
      `window up to ${cycle}`,
      pairs.filter((pair) => pair.cycle === cycle),
    ),
  );
  return {
    title: `Jobs until a warm search is level with the best of ${jobs} cold ones`,
    headers: [
      "",
      "searches",
      "median",
      "lower quartile",
      "upper quartile",
      `within ${third} jobs (a third)`,
      `within ${jobs} jobs`,
    ],
    rows: [...months, row("both", pairs)],
  };
}

/** The nearest rank: between "3 jobs" and "never" there is nothing to interpolate. */
function percentileOfCounts(counts: readonly number[], p: number): number {
  const sorted = [...counts].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil((p / 100) * sorted.length) - 1)] ?? NaN;
}

function qualityTable(pairs: readonly Pair[], jobs: number): Table {
  const after = [1, 3, 6, 10, jobs].filter((count) => count <= jobs);
  const worse = (trials: (pair: Pair) => Trials) =>
    after.map((count) => {
      const shares = pairs.map(
        (pair) => relativeCurve(trials(pair), coldBest(pair), jobs)[count - 1] ?? NaN,
      );
      const percent = (share: number) => formatNumber((share - 1) * 100, 1);
      return `${percent(median(shares))} (${percent(percentile(shares, 25))} to ${percent(percentile(shares, 75))})`;
    });
  return {
    title: `Best validation RMSE so far, in % above the best of ${jobs} cold jobs: median (quartiles)`,
    headers: ["after so many jobs", ...after.map(String)],
    rows: [
      ["cold", ...worse(({ cold }) => cold)],
      ["warm", ...worse(({ warm }) => warm)],
    ],
  };
}

async function plot(stack: BenchStack, pairs: readonly Pair[], jobs: number): Promise<void> {
  const curves = (trials: (pair: Pair) => Trials) =>
    pairs.map((pair) => relativeCurve(trials(pair), coldBest(pair), jobs));
  const figures = {
    cold: curves(({ cold }) => cold),
    warm: curves(({ warm }) => warm),
    needed: pairs.map((pair) => jobsToReach(pair.warm, coldBest(pair))),
    jobs,
  };
  const input = join(stack.workFolder, "warm-start.json");
  writeFileSync(input, JSON.stringify(figures));
  await runMeasured(stack, {
    command: stack.python.executable,
    args: [
      join(import.meta.dirname, "plot.py"),
      input,
      join(import.meta.dirname, "..", "warm-start.svg"),
    ],
  });
}

function notes({ destinations, seeds, jobs }: WarmStartOptions): string[] {
  return [
    `${destinations} destinations of the flights fleet, evenly spread over their sizes, ${seeds} ${seeds === 1 ? "seed" : "seeds"} each, all different; XGBoost's eleven ranges (\`xgboostRanges\`), strategy Bayesian, one training job at a time within a search, ${jobs} jobs each. Windows of six months; a window shares five of them with the one before.`,
    "The warm search of a window starts (TransferLearning, one parent) from the warm search of the window before, the first of them from a cold one. Cold and warm see the same rows and have the same seed.",
    "Local server: Optuna's sampler, which is not AWS's. What carries over is that last month's best hyperparameters are good ones this month; how many jobs AWS's own search saves has to be measured there.",
    "![Best RMSE so far against training jobs, cold and warm](warm-start.svg)",
  ];
}
