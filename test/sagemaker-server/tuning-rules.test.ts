/** What a tuning job decides without asking anybody: ranges, early stopping, its end, what parents teach. */
import { describe, expect, test } from "vitest";
import type { Trial } from "../../local/sagemaker/documents.js";
import { completionDetails, nextStep } from "../../local/sagemaker/tuning-completion.js";
import {
  isRung,
  isWorseThanMedian,
  valuesAtRungs,
} from "../../local/sagemaker/tuning-early-stopping.js";
import { nextFromParents, toldTrials } from "../../local/sagemaker/tuning-history.js";
import type { ParentTrial, Search } from "../../local/sagemaker/tuning-history.js";
import {
  countPoints,
  gridPoints,
  readRanges,
  textOf,
} from "../../local/sagemaker/tuning-ranges.js";
import type { Range } from "../../local/sagemaker/tuning-ranges.js";
import type { TuningPlan } from "../../local/sagemaker/tuning-request.js";
import type { TrialRecord } from "../../local/sagemaker/tuning-trials.js";

const minimize = { metric: "rmse", direction: "minimize" } as const;
const maximize = { metric: "auc", direction: "maximize" } as const;
const x: Range = { kind: "continuous", name: "x", min: 0, max: 10, scale: "linear" };

describe("ranges", () => {
  test.each([
    ["0.0001", "1", "Auto", "logarithmic"],
    ["0.1", "0.5", "Auto", "linear"],
    ["0", "1000", "Auto", "linear"],
    ["0.1", "0.5", "Logarithmic", "logarithmic"],
    ["0.5", "0.999", "ReverseLogarithmic", "reverse-logarithmic"],
    ["1", "1000", "Linear", "linear"],
    ["1", "1000", undefined, "logarithmic"],
  ] as const)("%s to %s with scale %s is searched %s", (MinValue, MaxValue, scale, wanted) => {
    const range = { Name: "x", MinValue, MaxValue, ...(scale && { ScalingType: scale }) };
    expect(readRanges({ ContinuousParameterRanges: [range] })).toMatchObject([{ scale: wanted }]);
  });

  test("count their points", () => {
    const depth: Range = { kind: "integer", name: "depth", min: 0, max: 10, scale: "linear" };
    const booster: Range = { kind: "categorical", name: "booster", values: ["a", "b"] };
    expect(countPoints([depth, booster])).toBe(22);
    expect(countPoints([depth, x])).toBe(Infinity);
    expect([...gridPoints([booster, { ...booster, name: "other" }])]).toHaveLength(4);
  });

  test.each([
    [0.1, "0.1"],
    [1, "1.0"],
    [0.1 + 0.2, "0.30000000000000004"],
    [1e-7, "1e-7"],
  ])("the continuous value %s is passed on as %s", (value, text) => {
    expect(textOf(x, value)).toBe(text);
  });
});

describe("early stopping", () => {
  const earlier = [
    [5, 4, 3],
    [6, 5, 4],
    [7, 6, 5],
    [8, 7, 6],
    [9, 8, 7],
  ];
  // After two values the running averages are 4.5, 5.5, 6.5, 7.5, 8.5: their median is 6.5.
  test.each([
    [[6, 6.4], false],
    [[6, 6.6], true],
    [[1, 6.6], true], // What counts is the latest value.
    [[8], true],
    [[7], false],
    [[9, 9, 9, 9], false], // None of them came so far.
    [[], false],
  ])("values %j: stopped is %s", (values, stopped) => {
    expect(isWorseThanMedian(minimize, values, earlier)).toBe(stopped);
  });

  test("what is worse depends on the direction", () => {
    expect(isWorseThanMedian(maximize, [6, 6.4], earlier)).toBe(true);
    expect(isWorseThanMedian(maximize, [6, 6.6], earlier)).toBe(false);
  });

  test("nobody is judged by fewer than five others", () => {
    expect(isWorseThanMedian(minimize, [100], earlier.slice(1))).toBe(false);
  });

  test("Hyperband judges at its rungs only", () => {
    const hyperband = { minResource: 2, maxResource: 20 };
    const rungs = Array.from({ length: 30 }, (_, step) => step).filter((n) => isRung(hyperband, n));
    expect(rungs).toEqual([2, 6, 18]);
    expect(valuesAtRungs(hyperband, [9, 8, 7, 6])).toEqual([
      [2, 8],
      [4, 6],
    ]);
  });
});

interface RecordChanges extends Partial<Trial> {
  readonly status?: string;
  readonly reason?: string;
}

let ends = 0;

function aRecord({ status = "Completed", reason, ...trial }: RecordChanges = {}): TrialRecord {
  const { number = 1, objective } = trial;
  const isOver = !["InProgress", "Stopping"].includes(status);
  return {
    trial: { number, tuned: {}, ...trial },
    summary: {
      ...{ TrainingJobName: `job-${number}`, TrainingJobArn: "arn", CreationTime: 0 },
      ...{ TunedHyperParameters: {}, TrainingJobStatus: status as "Completed" },
      ...(isOver && { TrainingEndTime: (ends += 1) }),
      ...(reason !== undefined && { FailureReason: reason }),
      ...(objective !== undefined && {
        FinalHyperParameterTuningJobObjectiveMetric: { MetricName: "rmse", Value: objective },
      }),
    },
  };
}

function aPlan(changes: Partial<TuningPlan> = {}): TuningPlan {
  return {
    ...{ strategy: "Bayesian", objective: minimize, ranges: [x] },
    ...{ maxJobs: 10, parallelJobs: 2, stopsEarly: false, criteria: {} },
    ...changes,
  };
}

const objectives = (...values: number[]) => values.map((objective) => aRecord({ objective }));
const running = aRecord({ status: "InProgress" });
const failed = (reason: string) => aRecord({ status: "Failed", reason });
const complete = { kind: "complete" };

describe("the next step", () => {
  test.each([
    ["with nothing yet is a launch", aPlan(), [], { kind: "launch" }],
    ["with a free place is a launch", aPlan(), [running], { kind: "launch" }],
    ["with all places taken is to wait", aPlan(), [running, running], { kind: "wait" }],
    [
      "with all jobs launched is to wait for them",
      aPlan({ maxJobs: 2 }),
      [...objectives(1), running],
      { kind: "wait" },
    ],
    ["with all jobs ended is the end", aPlan({ maxJobs: 2 }), objectives(1, 2), complete],
    [
      "goes on after failures",
      aPlan(),
      [1, 2, 3, 4].map(() => failed("AlgorithmError")),
      { kind: "launch" },
    ],
    [
      "after many failures and a success is a launch",
      aPlan(),
      [...objectives(1), ...[1, 2, 3, 4, 5].map(() => failed("x"))],
      { kind: "launch" },
    ],
    [
      "after five failures and nothing else is to fail",
      aPlan(),
      [running, ...[1, 2, 3, 4, 5].map(() => failed("AlgorithmError: , exit code: 1"))],
      {
        kind: "fail",
        reason: expect.stringMatching(/^No training job succeeded after 5 attempts\./) as string,
      },
    ],
    [
      "after jobs without an objective is to fail with another reason",
      aPlan({ maxJobs: 2 }),
      [aRecord(), aRecord()],
      {
        kind: "fail",
        reason: expect.stringMatching(/^No objective metrics found after running 2/) as string,
      },
    ],
    [
      "at the target is the end, whatever still runs",
      aPlan({ criteria: { TargetObjectiveMetricValue: 3 } }),
      [...objectives(3), running],
      complete,
    ],
    [
      "short of the target is a launch",
      aPlan({ criteria: { TargetObjectiveMetricValue: 3 } }),
      objectives(3.1),
      { kind: "launch" },
    ],
    [
      "after so many jobs without improvement is the end",
      aPlan({
        criteria: { BestObjectiveNotImproving: { MaxNumberOfTrainingJobsNotImproving: 3 } },
      }),
      objectives(5, 1, 2, 0.999, 3),
      complete,
    ],
    [
      "is a launch while it gets better by 1 %",
      aPlan({
        criteria: { BestObjectiveNotImproving: { MaxNumberOfTrainingJobsNotImproving: 3 } },
      }),
      objectives(5, 1, 2, 0.98, 3),
      { kind: "launch" },
    ],
    [
      "after convergence is the end",
      aPlan({
        maxJobs: 99,
        criteria: { ConvergenceDetected: { CompleteOnConvergence: "Enabled" } },
      }),
      objectives(1, ...Array.from({ length: 10 }, () => 2)),
      complete,
    ],
  ] as const)("%s", (_, plan, records, step) => {
    expect(nextStep(plan, records, true)).toEqual(step);
  });

  test("without points left is the end, also before any job", () => {
    expect(nextStep(aPlan(), [], false)).toEqual(complete);
    expect(nextStep(aPlan(), [running], false)).toEqual({ kind: "wait" });
  });

  test("convergence is told also where it does not end the search", () => {
    const records = objectives(1, ...Array.from({ length: 12 }, () => 2));
    expect(completionDetails(aPlan(), records)).toEqual({
      NumberOfTrainingJobsObjectiveNotImproving: 12,
      ConvergenceDetectedTime: records[10]?.summary.TrainingEndTime,
    });
  });
});

describe("a warm start", () => {
  const parent = (...trials: [x: number, objective: number][]): ParentTrial[] =>
    trials.map(([value, objective]) => ({
      hyperParameters: { x: String(value), eta: "0.1" },
      objective,
    }));
  const aSearch = (changes: Partial<Search>): Search => ({
    ...{ ranges: [x], objective: minimize, statics: { eta: "0.1" }, own: [] },
    ...changes,
  });
  const ran = (value: number, objective: number) =>
    ({ point: { x: value }, state: "complete", objective, reported: [] }) as const;
  const first = parent([1, 50], [2, 20], [3, 30], [4, 40], [5, 10]);
  const second = parent([7, 3], [8, 2], [2, 1]);

  test("on other data first tries the best points of the parents in turn, then asks the sampler", () => {
    const warmStart = { type: "TransferLearning", parents: [first, second] } as const;
    expect(nextFromParents(aSearch({ warmStart }))).toEqual({ x: 5 });
    expect(nextFromParents(aSearch({ warmStart, own: [ran(5, 1)] }))).toEqual({ x: 2 });
    expect(nextFromParents(aSearch({ warmStart, own: [ran(5, 1), ran(2, 1)] }))).toEqual({ x: 8 });
    const three = [ran(5, 1), ran(2, 1), ran(8, 1)];
    expect(nextFromParents(aSearch({ warmStart, own: three }))).toBeUndefined();
  });

  test("on the same data tries no point again", () => {
    const warmStart = { type: "IdenticalDataAndAlgorithm", parents: [first] } as const;
    expect(nextFromParents(aSearch({ warmStart }))).toBeUndefined();
    expect(toldTrials(aSearch({ warmStart })).every(({ isTaken }) => isTaken)).toBe(true);
  });

  test("moves the parents' best point into smaller ranges, and learns only from points inside them", () => {
    const ranges = [{ ...x, max: 4 }];
    const warmStart = { type: "IdenticalDataAndAlgorithm", parents: [first] } as const;
    expect(nextFromParents(aSearch({ ranges, warmStart }))).toBeUndefined(); // 5 becomes 4: known.
    const narrower = aSearch({ ranges: [{ ...x, max: 3.5 }], warmStart });
    expect(nextFromParents(narrower)).toEqual({ x: 3.5 });
    expect(toldTrials(narrower).map(({ point }) => point["x"])).toEqual([1, 2, 3]);
  });

  test("a hyperparameter that was static has its static value, and other static values make another job", () => {
    const warmStart = { type: "IdenticalDataAndAlgorithm", parents: [first] } as const;
    const search = aSearch({ warmStart, statics: { eta: "0.2" } });
    expect(nextFromParents(search)).toEqual({ x: 5 });
    const eta: Range = { ...x, name: "eta", max: 1 };
    expect(toldTrials(aSearch({ warmStart, ranges: [x, eta], statics: {} }))[0]?.point).toEqual({
      ...{ x: 1, eta: 0.1 },
    });
  });

  test("on other data compares by the points that were tried on both, else by the best of both", () => {
    const warmStart = { type: "TransferLearning", parents: [first, second] } as const;
    const told = (own: Search["own"]) =>
      toldTrials(aSearch({ warmStart, own })).map(({ objective }) => objective);
    expect(told([])).toEqual([40, 10, 20, 30, 0, 2, 1, 0]);
    // x = 5 was 10 for the first parent and is 110 now; the second parent's best was 1.
    expect(told([ran(5, 110)])).toEqual([150, 120, 130, 140, 110, 112, 111, 110, 110]);
  });
});
