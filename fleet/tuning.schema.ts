/** The `tuning` part of a fleet file: which hyperparameters are searched, how, and from where a search starts. */
import { z } from "zod";
import type { Framework } from "./images.js";
import { LIMITS } from "./limits.js";
import { METRIC_DEFINITIONS } from "./metrics.js";
import { combinations, rangeProblem, SCALINGS, xgboostProblem } from "./ranges.js";

const rangeSchema = z.discriminatedUnion(
  "type",
  [
    z.strictObject({
      type: z.enum(["integer", "continuous"]),
      min: z.number(),
      max: z.number(),
      scaling: z.enum(SCALINGS).default("Auto"),
    }),
    z.strictObject({ type: z.literal("categorical"), values: z.array(z.string()).readonly() }),
  ],
  'a range is integer(0, 10), continuous(0.1, 0.5, "Logarithmic") or categorical("a", "b")',
);

const PARENTS = `SageMaker takes 1 to ${LIMITS.warmStartParents} parents`;

const warmStartSchema = z.union(
  [
    z.literal(false),
    z.strictObject({
      /** Earlier tuning jobs whose results seed the search. */
      parents: z.int().min(1, PARENTS).max(LIMITS.warmStartParents, PARENTS),
      /** Fleets whose tuning jobs may stand in while a customer has none of its own. */
      siblings: z.array(z.string().min(1).max(LIMITS.fleetNameLength)).readonly().default([]),
    }),
  ],
  `false (a search starts from nothing), or such as { parents: 1, siblings: ["other-fleet"] }`,
);

const jobs = z.int().min(1).max(LIMITS.randomTrainingJobs);

const tuningObjectSchema = z.strictObject({
  ranges: z.record(z.string().min(1).max(256), rangeSchema),
  /** An error on the validation rows that the training script prints, by the name of its metric definition. */
  objective: z.string().default("validation:rmse"),
  direction: z.enum(["minimize", "maximize"]).default("minimize"),
  strategy: z.enum(["Bayesian", "Random", "Grid", "Hyperband"]).default("Bayesian"),
  /** Training jobs of one search at most. */
  maxJobs: jobs,
  /** Training jobs of one search at a time; they count against the account's quota. */
  parallel: z.int().min(1).max(LIMITS.tuningParallel).default(1),
  /** Lets SageMaker stop training jobs that promise nothing; for scripts that print the objective as they go. */
  earlyStopping: z.boolean().default(false),
  seed: z
    .int()
    .min(0)
    .max(2 ** 31 - 1)
    .optional(),
  warmStart: warmStartSchema.default({ parents: 1, siblings: [] }),
  /** With strategy Hyperband only: the least and the most iterations that one training job may get. */
  hyperband: z
    .strictObject({ minResource: z.int().min(1), maxResource: z.int().min(1).max(20_000) })
    .optional(),
  /** A search of `holds` jobs for customers whose champion still holds, of `drifts` for all others. */
  budget: z.strictObject({ holds: jobs, drifts: jobs }).optional(),
});

export type TuningSpec = z.infer<typeof tuningObjectSchema>;

export const tuningSchema = tuningObjectSchema.superRefine((tuning, context) => {
  const problems = [
    ...rangeProblems(tuning),
    ...sizeProblems(tuning),
    ...strategyProblems(tuning),
    ...budgetProblems(tuning),
  ];
  for (const { path, message } of problems)
    context.addIssue({ code: "custom", path: [...path], message });
});

/** Of the metrics that are captured: errors on the rows that neither train nor judge. */
const OBJECTIVES = METRIC_DEFINITIONS.map(({ Name }) => Name).filter(
  (name) => name.startsWith("validation:") && !name.endsWith(":rows"),
);

interface Problem {
  readonly path: readonly string[];
  readonly message: string;
}

const problem = (path: string, message: string): Problem => ({
  path: path.split("."),
  message,
});

function rangeProblems({ ranges, objective }: TuningSpec): Problem[] {
  const found: Problem[] = [];
  const number = Object.keys(ranges).length;
  if (number === 0) found.push(problem("ranges", "declare at least one range to search"));
  if (number > LIMITS.tuningRanges)
    found.push(
      problem("ranges", `${number} ranges, SageMaker searches at most ${LIMITS.tuningRanges}`),
    );
  for (const [name, range] of Object.entries(ranges)) {
    const message = rangeProblem(name, range);
    if (message !== null) found.push({ path: ["ranges", name], message });
  }
  if (!OBJECTIVES.includes(objective))
    found.push(
      problem(
        "objective",
        METRIC_DEFINITIONS.some(({ Name }) => Name === objective)
          ? `a search looks at the validation rows only, by ${OBJECTIVES.join(" or ")}: the test rows judge what it finds`
          : `no metric definition captures it; a search can look at ${OBJECTIVES.join(", ")}`,
      ),
    );
  return found;
}

function sizeProblems({ ranges, strategy, maxJobs, parallel }: TuningSpec): Problem[] {
  const found: Problem[] = [];
  if (parallel > maxJobs)
    found.push(
      problem("parallel", `must be at most maxJobs (${maxJobs}): that many jobs are all there are`),
    );
  if (strategy !== "Random" && maxJobs > LIMITS.tuningTrainingJobs)
    found.push(
      problem("maxJobs", `at most ${LIMITS.tuningTrainingJobs} with strategy "${strategy}"`),
    );
  const all = combinations(ranges);
  if (strategy === "Grid" ? all !== maxJobs && Number.isFinite(all) : all < maxJobs)
    found.push(
      problem("maxJobs", `the ranges hold ${all} combinations in all: write maxJobs: ${all}`),
    );
  return found;
}

function strategyProblems(tuning: TuningSpec): Problem[] {
  const { strategy, ranges, earlyStopping, hyperband, budget } = tuning;
  const found: Problem[] = [];
  if (strategy === "Grid") {
    const others = Object.keys(ranges).filter((name) => ranges[name]?.type !== "categorical");
    if (others.length > 0)
      found.push(
        problem(
          "strategy",
          `Grid takes categorical ranges only: write ${others.join(", ")} as categorical("0.1", "0.2")`,
        ),
      );
    if (budget !== undefined)
      found.push(problem("budget", "a Grid has one size: leave the budget out"));
  }
  if (strategy === "Hyperband" && earlyStopping)
    found.push(problem("earlyStopping", "Hyperband stops jobs by itself: leave it out"));
  if (strategy === "Hyperband" && hyperband === undefined)
    found.push(
      problem(
        "hyperband",
        "Hyperband needs such as { minResource: 1, maxResource: 100 }: the iterations of one job",
      ),
    );
  if (hyperband === undefined) return found;
  if (strategy !== "Hyperband")
    found.push(problem("hyperband", 'is for strategy "Hyperband" only'));
  if (hyperband.minResource >= hyperband.maxResource)
    found.push(problem("hyperband.minResource", "must be below maxResource"));
  return found;
}

function budgetProblems({ budget, maxJobs }: TuningSpec): Problem[] {
  if (budget === undefined) return [];
  const found: Problem[] = [];
  if (budget.holds >= budget.drifts)
    found.push(problem("budget.holds", `must be below drifts (${budget.drifts})`));
  if (budget.drifts > maxJobs)
    found.push(problem("budget.drifts", `must be at most maxJobs (${maxJobs})`));
  return found;
}

/** What of a fleet the search has to fit to. */
interface Tunable {
  readonly training: {
    readonly framework: Framework;
    readonly image?: string | undefined;
    readonly hyperparameters: Readonly<Record<string, string>>;
  };
  readonly tuning?: TuningSpec | undefined;
}

/** Set for every job beside what the fleet file names: program, sources, and the tuner's own. */
const PLATFORM_HYPERPARAMETERS = 3;

/** Tells what of `tuning` does not go with `training`. */
export function checkTuning(fleet: Tunable, context: z.RefinementCtx): void {
  const { training, tuning } = fleet;
  if (tuning === undefined) return;
  const names = Object.keys(tuning.ranges);
  const issue = (path: string[], message: string) =>
    context.addIssue({ code: "custom", path: ["tuning", ...path], message });
  const fixed = names.filter((name) => Object.hasOwn(training.hyperparameters, name));
  for (const name of fixed)
    issue(["ranges", name], "is fixed in training.hyperparameters too: name it in one of the two");
  const hyperparameters = Object.keys(training.hyperparameters).length + names.length;
  if (hyperparameters + PLATFORM_HYPERPARAMETERS > LIMITS.hyperParameters)
    issue(
      ["ranges"],
      `with training.hyperparameters these are ${hyperparameters}, of which SageMaker takes ` +
        `${LIMITS.hyperParameters - PLATFORM_HYPERPARAMETERS}`,
    );
  // Other algorithms have hyperparameters of the same names and other meanings.
  if (!/xgboost/i.test(training.image ?? training.framework)) return;
  for (const [name, range] of Object.entries(tuning.ranges)) {
    // What SageMaker refuses has been told already.
    const message = rangeProblem(name, range) === null ? xgboostProblem(name, range) : null;
    if (message !== null) issue(["ranges", name], message);
  }
}
