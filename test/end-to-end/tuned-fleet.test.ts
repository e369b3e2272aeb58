/** A fleet that searches its hyperparameters, month after month: real searches on the local server. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DeleteHyperParameterTuningJobCommand, SageMakerClient } from "@aws-sdk/client-sagemaker";
import { afterAll, beforeAll, expect, test } from "vitest";
import { modelfleetJson } from "../cli/modelfleet.js";
import {
  cli,
  makeSmallFleet,
  startWorkerProcess,
  type RunningWorker,
} from "../faults/small-fleet.js";
import { createdTuningJobs, setFaults } from "../faults/sagemaker-admin.js";
import { startTestStack, type TestStack } from "../stack.js";

let stack: TestStack;
let worker: RunningWorker;

beforeAll(async () => {
  stack = await startTestStack({ basePort: 19456 });
  worker = await startWorkerProcess(stack);
});
afterAll(async () => {
  await worker.stop();
  await stack.close();
});

interface Search {
  readonly tuningJobName: string;
  readonly cycle: string;
  readonly testing: boolean;
  readonly status: string;
  readonly maxJobs: number;
  readonly best: { readonly trainingJobName: string; readonly value: number };
  readonly warmStart: {
    readonly type: string | null;
    readonly parents: readonly string[];
    readonly because: string;
    readonly reasons: readonly { readonly tuningJobName: string; readonly taken: boolean }[];
  };
  readonly trials: readonly { readonly value: number | null }[];
}

interface History {
  readonly searches: readonly Search[];
  readonly cycles: readonly { readonly cycle: string; readonly trainingJobName: string }[];
}

const json = (...words: string[]) => modelfleetJson(words, { directory: stack.folder });

const historyOf = async (fleet: string, customer: string): Promise<History> => {
  const read = async () => (await json("history", fleet, customer)) as unknown as History;
  // The watcher reads the training jobs of a search when it has told its owner.
  await expect
    .poll(async () => (await read()).searches.every((search) => search.trials.length > 0), {
      timeout: 30_000,
    })
    .toBe(true);
  return read();
};

test("a search starts from the last one, a testing run is never its parent", async () => {
  const fleet = await makeSmallFleet(stack, {
    name: "tuned",
    customers: ["a", "b"],
    better: -1,
    tuning:
      "{ ranges: { eta: continuous(0.05, 0.5, 'Logarithmic'), max_depth: integer(0, 6) }, maxJobs: 4, parallel: 2, seed: 1 }",
  });
  const run = async (...words: string[]) => {
    const { code, stderr } = await cli(stack, "run", fleet.file, ...words);
    expect(code, stderr).toBe(0);
  };
  expect(await json("plan", fleet.file, "--at", "2024-02-01")).toMatchObject({
    train: { customers: 2 },
    trainingJobs: { most: 8, atATime: 4 },
  });
  await run("--at", "2024-02-01");
  await run("--at", "2024-03-01", "--testing");
  await run("--at", "2024-03-01");

  const { searches, cycles } = await historyOf("tuned", "a");
  const [tested, second, first] = searches;
  expect(searches).toHaveLength(3);
  expect(first).toMatchObject({
    cycle: "2024-02-01",
    status: "Completed",
    warmStart: { type: null, because: "no earlier search to start from" },
  });
  expect(first?.trials).toHaveLength(4);
  expect(tested).toMatchObject({ cycle: "2024-03-01-testing", testing: true, maxJobs: 1 });
  expect(tested?.trials).toHaveLength(1);
  expect(second).toMatchObject({
    cycle: "2024-03-01",
    warmStart: { type: "TransferLearning", parents: [first?.tuningJobName] },
  });
  for (const search of searches) {
    expect(search.trials[0]?.value).toBe(search.best.value);
    const cycle = cycles.find((one) => one.cycle === search.cycle);
    expect(cycle?.trainingJobName).toBe(search.best.trainingJobName);
  }
});

test("data that nothing can be learnt from fails the customer with the reason, and no other", async () => {
  const fleet = await makeSmallFleet(stack, {
    name: "hopeless",
    customers: ["a"],
    failureBudget: 1,
    tuning: "{ ranges: { max_depht: integer(0, 6) }, maxJobs: 2 }",
  });
  await cli(stack, "run", fleet.file, "--at", "2024-02-01");
  expect(await json("status", "hopeless", "--state", "failed")).toMatchObject({
    customers: [
      {
        customer: "a",
        errorType: "TrainingAlgorithmError",
        reason: expect.stringMatching(
          /none of 2 training jobs reached validation:rmse; one failed by: .*max_depht/,
        ) as string,
      },
    ],
  });
});

test("an objective that is no number in any trial fails the customer with the reason", async () => {
  const fleet = await makeSmallFleet(stack, {
    name: "nan",
    customers: ["a"],
    failureBudget: 1,
    tuning: "{ ranges: { eta: continuous(0.1, 0.5) }, maxJobs: 2 }",
  });
  const script = join(fleet.sources, "model_evaluation/report.py");
  const honest = await readFile(script, "utf8");
  const metric = 'print(f"{name}={value:.9g};")';
  const spoilt = `print(f"{name}={'nan' if name == 'validation:rmse' else value};")`;
  await writeFile(script, honest.replace(metric, spoilt));
  await cli(stack, "run", fleet.file, "--at", "2024-02-01");
  expect(await json("status", "nan", "--state", "failed")).toMatchObject({
    customers: [
      {
        customer: "a",
        errorType: "TrainingAlgorithmError",
        reason: expect.stringMatching(/none of 2 training jobs reached validation:rmse/) as string,
      },
    ],
  });
});

test("searches wider than the quota are refused before anything is exported", async () => {
  const fleet = await makeSmallFleet(stack, {
    name: "wide",
    customers: ["a"],
    tuning: "{ ranges: { eta: continuous(0.1, 0.5) }, maxJobs: 60, parallel: 51 }",
  });
  const { code, stdout, stderr } = await cli(stack, "run", fleet.file, "--at", "2024-02-01");
  expect(code).toBe(1);
  expect(stdout + stderr).toContain(
    "tuning.parallel asks 51 training jobs at a time, the worker's quota is 50",
  );
});

test("nothing is searched again that has not changed, unless forced: then from the last search that SageMaker knows", async () => {
  const fleet = await makeSmallFleet(stack, {
    name: "same",
    customers: ["a"],
    better: -1,
    tuning: "{ ranges: { eta: continuous(0.1, 0.5) }, maxJobs: 3 }",
  });
  const run = async (...words: string[]) => {
    const { code, stderr } = await cli(stack, "run", fleet.file, ...words);
    expect(code, stderr).toBe(0);
  };
  // No row of the table lies between these times, nor a month before them.
  await run("--at", "2024-03-02T00:00Z");
  await run("--at", "2024-03-02T00:20Z");
  expect(await json("status", "same", "--state", "skipped")).toMatchObject({
    customers: [{ customer: "a", reason: expect.stringMatching(/^unchanged: /) as string }],
  });
  await run("--at", "2024-03-02T00:40Z", "--force");
  const [second, first] = (await historyOf("same", "a")).searches;
  expect(second).toMatchObject({
    cycle: "2024-03-02t0040",
    // The same rows lie in another folder: the local server, as strict as AWS may be, takes that for other data.
    warmStart: {
      type: "TransferLearning",
      parents: [first?.tuningJobName],
      because: expect.stringMatching(/^as identical, SageMaker refuses it: .*input data/) as string,
    },
  });

  await forget(second?.tuningJobName ?? "");
  await run("--at", "2024-03-02T01:00Z", "--force");
  const [third] = (await historyOf("same", "a")).searches;
  expect(third?.warmStart).toMatchObject({
    parents: [first?.tuningJobName],
    reasons: [
      {
        tuningJobName: second?.tuningJobName,
        taken: false,
        because: "SageMaker does not know it any more",
      },
      { tuningJobName: first?.tuningJobName, taken: true },
    ],
  });
});

test("a worker that dies while searches run is replaced, and no search is made twice", async () => {
  const fleet = await makeSmallFleet(stack, {
    name: "survives",
    customers: ["site-1", "site-2"],
    better: -1,
    tuning: "{ ranges: { eta: continuous(0.1, 0.5) }, maxJobs: 6, parallel: 2 }",
  });
  // Searches that take a moment, so that the worker dies while they run.
  await setFaults(stack, { slowStartSeconds: 0.5 });
  const run = cli(stack, "run", fleet.file, "--at", "2024-02-01");
  await expect
    .poll(() => createdTuningJobs(stack, "survives"), { timeout: 60_000 })
    .toHaveLength(2);
  await worker.kill();
  worker = await startWorkerProcess(stack);
  const { code, stderr } = await run;
  await setFaults(stack, {});

  expect(code, stderr).toBe(0);
  const created = await createdTuningJobs(stack, "survives");
  expect(created.map(([, calls]) => calls)).toEqual([1, 1]);
  const { searches } = await historyOf("survives", "site-1");
  expect(searches).toMatchObject([{ status: "Completed", maxJobs: 6 }]);
});

async function forget(tuningJobName: string): Promise<void> {
  const { environment } = stack;
  const sagemaker = new SageMakerClient({
    region: environment.AWS_REGION ?? "",
    endpoint: environment.AWS_ENDPOINT_URL_SAGEMAKER ?? "",
    credentials: {
      accessKeyId: environment.AWS_ACCESS_KEY_ID ?? "",
      secretAccessKey: environment.AWS_SECRET_ACCESS_KEY ?? "",
    },
  });
  try {
    await sagemaker.send(
      new DeleteHyperParameterTuningJobCommand({ HyperParameterTuningJobName: tuningJobName }),
    );
  } finally {
    sagemaker.destroy();
  }
}
