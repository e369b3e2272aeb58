/** A customer's search: chosen, created once, watched, read. The ledger and Temporal are real. */
import {
  CreateHyperParameterTuningJobCommand,
  DescribeHyperParameterTuningJobCommand,
} from "@aws-sdk/client-sagemaker";
import { beforeEach, describe, expect, test } from "vitest";
import { createCycleActivities } from "../../activities/cycles.js";
import { createJobWatcherActivities } from "../../activities/job-watcher.js";
import { createTuningActivities } from "../../activities/tuning.js";
import { TAGS } from "../../activities/training-job-request.js";
import { continuous, integer } from "../../fleet/ranges.js";
import { jobEnded, workflowIds } from "../../workflows/messages.js";
import { aTuningJob } from "../sagemaker-server/requests.js";
import { awsError, createFakeTuning, trialName, type FakeTuning } from "./fake-tuning.js";
import { CYCLE, WINDOW } from "./a-fleet.js";
import { noopFleet, plannedCycle, type NoopFleetOptions } from "./noop-fleet.js";
import { run, useParts } from "./parts.js";

const parts = useParts(17732);

let tuning: FakeTuning;
beforeEach(async () => {
  tuning = createFakeTuning();
  await parts().ledger.query("update jobs set state = 'ended'");
});

const activities = (maxTrainingJobs = parts().maxTrainingJobs) =>
  createTuningActivities({
    ...parts(),
    sagemaker: tuning.client,
    maxTrainingJobs,
    watchSeconds: 0.05,
  });
const watcher = () =>
  createJobWatcherActivities({ ...parts(), sagemaker: tuning.client, watchSeconds: 0.02 });

const SEARCH = {
  ranges: { x: continuous(0.1, 1, "Logarithmic"), y: integer(1, 10) },
  maxJobs: 6,
  parallel: 2,
};

interface TunedOptions extends Partial<NoopFleetOptions> {
  readonly name: string;
  readonly testing?: boolean;
}

/** Ready for startTuningJob. */
async function aCycle({ name, testing = false, ...options }: TunedOptions) {
  const cycle = await plannedCycle(parts(), { name, tuning: SEARCH, ...options });
  if (testing) {
    await parts().ledger.query("update cycles set testing = true where fleet = $1 and cycle = $2", [
      name,
      cycle.cycle,
    ]);
    const { planCycle } = createCycleActivities(parts());
    await run(planCycle, { fleet: name, cycle: cycle.cycle, shardSize: 250, force: false });
  }
  return { fleet: cycle.fleet, cycle: cycle.cycle };
}

const start = (
  cycle: { fleet: string; cycle: string },
  { round = 0, customerKey = "site-1", maxTrainingJobs = parts().maxTrainingJobs } = {},
) => run(activities(maxTrainingJobs).startTuningJob, { ...cycle, customerKey, round });

const look = (tuningJobName: string) => run(activities().findEndedTuningJob, { tuningJobName });

/** A cycle whose search has completed. */
async function searched(options: TunedOptions): Promise<string> {
  const { tuningJobName } = await start(await aCycle(options));
  tuning.end(tuningJobName, [{ value: 12 }, { value: 10 }, { value: 11 }]);
  await look(tuningJobName);
  return tuningJobName;
}

const parentsOf = (tuningJobName: string) => {
  const { WarmStartConfig } = tuning.request(tuningJobName);
  return WarmStartConfig?.ParentHyperParameterTuningJobs?.map(
    (parent) => parent.HyperParameterTuningJobName,
  );
};

const row = async (tuningJobName: string): Promise<Record<string, unknown>> => {
  const { rows } = await parts().ledger.query<Record<string, unknown>>(
    "select * from tuning_jobs where tuning_job_name = $1",
    [tuningJobName],
  );
  return rows[0] ?? {};
};

const jobRow = async (name: string) =>
  (
    await parts().ledger.query<Record<string, unknown>>("select * from jobs where job_name = $1", [
      name,
    ])
  ).rows[0];

describe("starting a search", () => {
  test("asks SageMaker for what the spec, the dataset and the ledger say", async () => {
    const cycle = await aCycle({ name: "asked" });
    const { tuningJobName, warmStart } = await start(cycle);
    expect(tuningJobName).toMatch(/^mf-asked-site-1-[0-9a-f]{12}$/);
    expect(warmStart).toBe("Starts from nothing: no earlier search to start from");
    const request = tuning.request(tuningJobName);
    expect(request).toMatchObject({
      HyperParameterTuningJobConfig: {
        Strategy: "Bayesian",
        HyperParameterTuningJobObjective: { Type: "Minimize", MetricName: "validation:rmse" },
        ResourceLimits: { MaxNumberOfTrainingJobs: 6, MaxParallelTrainingJobs: 2 },
        ParameterRanges: {
          ContinuousParameterRanges: [
            { Name: "x", MinValue: "0.1", MaxValue: "1", ScalingType: "Logarithmic" },
          ],
          IntegerParameterRanges: [
            { Name: "y", MinValue: "1", MaxValue: "10", ScalingType: "Auto" },
          ],
        },
        TrainingJobEarlyStoppingType: "Off",
      },
      TrainingJobDefinition: {
        StaticHyperParameters: { sagemaker_program: "train.py", "metric:test:rmse": "10" },
        RoleArn: parts().roleArn,
        StoppingCondition: { MaxRuntimeInSeconds: 1800 },
      },
    });
    const definition = request.TrainingJobDefinition;
    expect(definition?.StaticHyperParameters).not.toHaveProperty("x");
    expect(definition?.InputDataConfig?.map((channel) => channel.ChannelName)).toEqual([
      "train",
      "validation",
      "test",
      "schema",
    ]);
    expect(request.Tags?.map((tag) => tag.Key)).toContain(TAGS.requestHash);
    expect(request).not.toHaveProperty("WarmStartConfig");
  });

  test("takes as many places of the account's quota as it runs training jobs at a time", async () => {
    const cycle = await aCycle({ name: "places", customers: 2 });
    const { tuningJobName } = await start(cycle, { maxTrainingJobs: 3 });
    expect(await jobRow(tuningJobName)).toMatchObject({ kind: "tuning", slots: 2 });
    const second = () => start(cycle, { maxTrainingJobs: 3, customerKey: "site-2" });
    await expect(second()).rejects.toMatchObject({ type: "QuotaFull", category: "BENIGN" });
    tuning.end(tuningJobName, [{ value: 1 }]);
    await look(tuningJobName);
    await expect(second()).resolves.toHaveProperty("tuningJobName");
  });

  test("is refused if it needs more places than there are: it would wait for ever", async () => {
    const cycle = await aCycle({ name: "too-wide" });
    await expect(start(cycle, { maxTrainingJobs: 1 })).rejects.toMatchObject({
      type: "SpecInvalid",
      nonRetryable: true,
      message: "tuning.parallel asks 2 training jobs at a time, the worker's quota is 1",
    });
  });

  test("that SageMaker's own quota holds back keeps no place", async () => {
    const cycle = await aCycle({ name: "limited" });
    tuning.refuse = () => awsError("ResourceLimitExceeded", "100 tuning jobs run already");
    await expect(start(cycle)).rejects.toMatchObject({ type: "QuotaFull" });
    const { rows } = await parts().ledger.query("select from jobs where fleet = 'limited'");
    expect(rows).toEqual([]);
  });

  test("that is wider than SageMaker's own quota is refused: no end of other jobs makes room", async () => {
    const cycle = await aCycle({ name: "wider" });
    const told =
      "The account-level service limit 'Maximum number of parallel training jobs per hyperparameter tuning job' " +
      "is 1 Training Jobs, with current utilization of 0 Training Jobs and a request delta of 2 Training Jobs.";
    tuning.refuse = () => awsError("ResourceLimitExceeded", told);
    await expect(start(cycle)).rejects.toMatchObject({
      type: "SpecInvalid",
      nonRetryable: true,
      message: `the job asks for more than the account's quota: ${told}`,
    });
    const { rows } = await parts().ledger.query("select from jobs where fleet = 'wider'");
    expect(rows).toEqual([]);
  });

  test("that SageMaker refuses fails the customer in its words", async () => {
    const cycle = await aCycle({ name: "refused" });
    tuning.refuse = () => awsError("ValidationException", "No S3 objects found under S3 URL");
    await expect(start(cycle)).rejects.toMatchObject({
      type: "TrainingClientError",
      nonRetryable: true,
      message: "SageMaker refuses the tuning job: No S3 objects found under S3 URL",
    });
  });
});

describe("an attempt that died half way", () => {
  test("is made up for by the next, which adopts the search", async () => {
    const cycle = await aCycle({ name: "died" });
    const { tuningJobName } = await start(cycle);
    await parts().ledger.query(
      "update jobs set state = 'admitted', created_at = null where job_name = $1",
      [tuningJobName],
    );
    await expect(start(cycle)).resolves.toMatchObject({ tuningJobName });
    expect(tuning.created()).toHaveLength(1);
    expect(await jobRow(tuningJobName)).toMatchObject({ state: "created" });
  });

  test("has chosen the parents for all later attempts, whatever has ended meanwhile", async () => {
    const first = await searched({ name: "chosen" });
    const cycle = await aCycle({ name: "chosen", cycle: "2013-08-01" });
    const { tuningJobName } = await start(cycle);
    await parts().ledger.query(
      `insert into tuning_jobs
       select (jsonb_populate_record(t, '{"cycle": "2013-07-01", "round": 7, "tuning_job_name": "newer"}')).*
         from tuning_jobs t where tuning_job_name = $1`,
      [first],
    );
    await parts().ledger.query(
      "update tuning_jobs set created_at = now() + interval '1 day' where tuning_job_name = 'newer'",
    );
    await expect(start(cycle)).resolves.toMatchObject({ tuningJobName });
    expect(parentsOf(tuningJobName)).toEqual([first]);
  });

  test("is told how the adopted search ended, if it has", async () => {
    const cycle = await aCycle({ name: "ended" });
    const { tuningJobName } = await start(cycle);
    tuning.end(tuningJobName, [{ value: 3 }]);
    await expect(start(cycle)).resolves.toMatchObject({
      tuningJobName,
      ended: { status: "Completed", bestTrainingJobName: trialName(tuningJobName, 1) },
    });
  });

  test("never takes over a search that another request made", async () => {
    const cycle = await aCycle({ name: "taken" });
    const { tuningJobName } = await start(cycle);
    const tag = tuning.request(tuningJobName).Tags?.find(({ Key }) => Key === TAGS.requestHash);
    if (tag !== undefined) tag.Value = "somebody-else";
    await parts().ledger.query("delete from jobs where job_name = $1", [tuningJobName]);
    await expect(start(cycle)).rejects.toMatchObject({ type: "JobNameTaken", nonRetryable: true });
  });

  test("waits while the search of a cancelled run is stopping", async () => {
    const cycle = await aCycle({ name: "stopping" });
    const { tuningJobName } = await start(cycle);
    tuning.setStatus(tuningJobName, "Stopping");
    await expect(start(cycle)).rejects.toMatchObject({
      type: "TrainingStopped",
      category: "BENIGN",
    });
  });
});

describe("warm start", () => {
  test("is from the customer's last search: identical where nothing has changed", async () => {
    const first = await searched({ name: "again" });
    const { tuningJobName, warmStart } = await start(
      await aCycle({ name: "again", cycle: "2013-08-01" }),
    );
    expect(parentsOf(tuningJobName)).toEqual([first]);
    expect(tuning.request(tuningJobName).WarmStartConfig).toMatchObject({
      WarmStartType: "IdenticalDataAndAlgorithm",
    });
    expect(warmStart).toContain(`\`${first}\` taken: the customer's own, best validation:rmse 10`);
    expect(await row(tuningJobName)).toMatchObject({
      warm_start_type: "IdenticalDataAndAlgorithm",
      parents: [first],
      reasons: [{ tuningJobName: first, taken: true }],
    });
  });

  test("is by transfer when the data has changed", async () => {
    await searched({ name: "moved" });
    const query =
      "select 'site-1' as customer, n::float8 as target, n * 3 as x " +
      "from generate_series(1, 90) n where now() > :floor and :ceiling > :floor";
    const cycle = await aCycle({ name: "moved", cycle: "2013-08-01", source: { query } });
    const { tuningJobName } = await start(cycle);
    expect(tuning.request(tuningJobName).WarmStartConfig).toMatchObject({
      WarmStartType: "TransferLearning",
    });
  });

  test("is never from a testing run, which has one training job", async () => {
    const first = await searched({ name: "tested" });
    const test = await searched({ name: "tested", cycle: "2013-08-01-testing", testing: true });
    expect(tuning.request(test).HyperParameterTuningJobConfig?.ResourceLimits).toEqual({
      MaxNumberOfTrainingJobs: 1,
      MaxParallelTrainingJobs: 1,
    });
    expect(await row(test)).toMatchObject({ testing: true, max_jobs: 1 });
    const { tuningJobName } = await start(await aCycle({ name: "tested", cycle: "2013-09-01" }));
    expect(parentsOf(tuningJobName)).toEqual([first]);
    expect((await row(tuningJobName)).reasons).toContainEqual({
      tuningJobName: test,
      taken: false,
      because: "a testing run: its single training job tells nothing",
    });
  });

  test("passes over a parent that SageMaker no longer knows, with a note", async () => {
    const first = await searched({ name: "deleted" });
    const second = await searched({ name: "deleted", cycle: "2013-08-01" });
    tuning.forget(second);
    const { tuningJobName } = await start(await aCycle({ name: "deleted", cycle: "2013-09-01" }));
    expect(parentsOf(tuningJobName)).toEqual([first]);
    expect((await row(tuningJobName)).reasons).toContainEqual({
      tuningJobName: second,
      taken: false,
      because: "SageMaker does not know it any more",
    });
    const { rows } = await parts().ledger.query<{ name: string }>(
      "select job_name as name from jobs where fleet = 'deleted' and cycle = '2013-09-01'",
    );
    expect(rows).toEqual([{ name: tuningJobName }]);
  });

  test("that SageMaker refuses as identical is tried by transfer", async () => {
    const first = await searched({ name: "alike" });
    tuning.refuse = ({ WarmStartConfig }) =>
      WarmStartConfig?.WarmStartType === "IdenticalDataAndAlgorithm"
        ? awsError("ValidationException", "the data of parent and child differ")
        : undefined;
    const { tuningJobName } = await start(await aCycle({ name: "alike", cycle: "2013-08-01" }));
    expect(parentsOf(tuningJobName)).toEqual([first]);
    expect(await row(tuningJobName)).toMatchObject({
      warm_start_type: "TransferLearning",
      warm_start_because: "as identical, SageMaker refuses it: the data of parent and child differ",
    });
  });

  test("that SageMaker refuses altogether is left out, and the record says why", async () => {
    await searched({ name: "cold" });
    tuning.refuse = ({ WarmStartConfig }) =>
      WarmStartConfig === undefined
        ? undefined
        : awsError(
            "ValidationException",
            "The set of tunable plus static HyperParameter names is not the same across current and parent tuning jobs",
          );
    const { tuningJobName, warmStart } = await start(
      await aCycle({ name: "cold", cycle: "2013-08-01" }),
    );
    expect(parentsOf(tuningJobName)).toBeUndefined();
    expect(warmStart).toContain("Starts from nothing: SageMaker refuses it: The set of tunable");
    expect(await row(tuningJobName)).toMatchObject({ warm_start_type: null, parents: [] });
  });

  test("is from a declared sibling while the customer has no search of its own", async () => {
    const theirs = await searched({ name: "elder" });
    const asks = { ...SEARCH, warmStart: { parents: 2, siblings: ["elder"] } };
    const { tuningJobName } = await start(await aCycle({ name: "younger", tuning: asks }));
    expect(parentsOf(tuningJobName)).toEqual([theirs]);
  });
});

describe("the end of a search", () => {
  const NONE = { value: null };

  test("is its best training job; all its training jobs are kept", async () => {
    const { tuningJobName } = await start(await aCycle({ name: "found" }));
    expect(await look(tuningJobName)).toBeNull();
    tuning.end(tuningJobName, [{ value: 12 }, { value: 9.5 }, { value: 11 }, NONE, { value: 10 }]);
    expect(await look(tuningJobName)).toEqual({
      jobName: tuningJobName,
      status: "Completed",
      bestTrainingJobName: trialName(tuningJobName, 2),
    });
    expect(await row(tuningJobName)).toMatchObject({
      status: "Completed",
      best_value: 9.5,
      best_training_job_name: trialName(tuningJobName, 2),
      best_hyperparameters: { x: "0.1" },
      trial_statuses: { completed: 5, nonRetryableError: 0 },
      objective_statuses: { succeeded: 4, failed: 1 },
    });
    const { rows } = await parts().ledger.query(
      `select training_job_name, objective_value from tuning_trials
        where tuning_job_name = $1 order by objective_value nulls last`,
      [tuningJobName],
    );
    expect(rows).toHaveLength(5);
    expect(rows[0]).toEqual({
      training_job_name: trialName(tuningJobName, 2),
      objective_value: 9.5,
    });
    expect(await jobRow(tuningJobName)).toMatchObject({
      status: "Completed",
      billable_seconds: 150,
    });
  });

  test("without any value of the objective is the customer's failure, with the reason", async () => {
    const { tuningJobName } = await start(await aCycle({ name: "no-value" }));
    const failureReason = "AlgorithmError: ValueError: no rows left";
    tuning.end(tuningJobName, [NONE, { value: null, failureReason }, NONE]);
    expect(await look(tuningJobName)).toEqual({
      jobName: tuningJobName,
      status: "Failed",
      failureReason:
        "AlgorithmError: none of 3 training jobs reached validation:rmse; one failed by: " +
        "AlgorithmError: ValueError: no rows left",
    });
  });

  test("without a printed objective says what to print", async () => {
    const { tuningJobName } = await start(await aCycle({ name: "not-printed" }));
    tuning.end(tuningJobName, [NONE, NONE]);
    expect(await look(tuningJobName)).toMatchObject({
      status: "Failed",
      failureReason: expect.stringContaining('print "validation:rmse=<number>;"') as string,
    });
  });

  test("is SageMaker's fault when its training jobs failed by that", async () => {
    const { tuningJobName } = await start(await aCycle({ name: "internal" }));
    const failureReason = "InternalServerError: We encountered an internal error.";
    tuning.end(tuningJobName, [{ value: null, failureReason }], "Failed");
    expect(await look(tuningJobName)).toMatchObject({
      failureReason: expect.stringMatching(/^InternalServerError: the only training job/) as string,
    });
  });

  test("of one that SageMaker has forgotten is its fault too", async () => {
    expect(await look("mf-never-was")).toMatchObject({
      status: "Failed",
      failureReason: expect.stringMatching(/^InternalServerError/) as string,
    });
  });
});

describe("stopping a customer's searches", () => {
  test("stops what runs, gives back what was only admitted, and does not mind what has ended", async () => {
    const cycle = await aCycle({ name: "stopped" });
    const running = (await start(cycle)).tuningJobName;
    const ended = (await start(cycle, { round: 1 })).tuningJobName;
    tuning.end(ended, [{ value: 1 }]);
    const admitted = (await start(cycle, { round: 2 })).tuningJobName;
    tuning.forget(admitted);
    await parts().ledger.query("update jobs set state = 'admitted' where job_name = $1", [
      admitted,
    ]);
    await run(activities().stopTuningJob, { ...cycle, customerKey: "site-1" });
    expect(await jobRow(admitted)).toBeUndefined();
    tuning.end(running, [], "Stopped");
    expect(await look(running)).toMatchObject({ status: "Stopped" });
  });

  test("stops one that SageMaker's server runs", async () => {
    const { ledger, sagemaker } = parts();
    const cycle = await aCycle({ name: "stopped-there" });
    const limits = { ResourceLimits: { MaxNumberOfTrainingJobs: 200, MaxParallelTrainingJobs: 1 } };
    const HyperParameterTuningJobName = "mf-stopped-there";
    const request = aTuningJob(limits, {}, { HyperParameterTuningJobName });
    await sagemaker.send(new CreateHyperParameterTuningJobCommand(request));
    await ledger.query(
      `insert into jobs (job_name, account, region, kind, fleet, cycle, customer_key, round, request_hash, request,
                         workflow_id, state)
       values ($1, $2, $3, 'tuning', $4, $5, 'site-1', 0, 'h', '{}', 'w', 'created')`,
      [HyperParameterTuningJobName, parts().account, parts().region, ...[cycle.fleet, cycle.cycle]],
    );
    const { stopTuningJob } = createTuningActivities({ ...parts(), watchSeconds: 1 });
    await run(stopTuningJob, { ...cycle, customerKey: "site-1" });
    const describeJob = new DescribeHyperParameterTuningJobCommand({ HyperParameterTuningJobName });
    await expect
      .poll(async () => (await sagemaker.send(describeJob)).HyperParameterTuningJobStatus)
      .toBe("Stopped");
  });
});

describe("the job watcher", () => {
  const place = () => ({ account: parts().account, region: parts().region });

  test("tells the owner the best training job, and reads the search for the history", async () => {
    const cycle = await aCycle({ name: "watched" });
    const { tuningJobName } = await start(cycle);
    // A workflow without a worker keeps its signals for whoever reads its history.
    const owner = await parts().temporal.workflow.start("retrainModel", {
      workflowId: workflowIds.retrainModel("watched", "site-1", cycle.cycle),
      taskQueue: "nobody",
      args: [],
    });
    tuning.end(tuningJobName, [{ value: 12 }, { value: 10 }, { value: 11 }]);
    tuning.calls.length = 0;
    await expect(run(watcher().watchJobs, place())).resolves.toEqual({ idle: true });

    const { events } = await owner.fetchHistory();
    const signals = (events ?? []).flatMap((event) => {
      const signal = event.workflowExecutionSignaledEventAttributes;
      const data = signal?.input?.payloads?.[0]?.data;
      return signal?.signalName === jobEnded.name && data
        ? [JSON.parse(Buffer.from(data).toString()) as unknown]
        : [];
    });
    expect(signals).toEqual([
      {
        jobName: tuningJobName,
        status: "Completed",
        bestTrainingJobName: trialName(tuningJobName, 2),
      },
    ]);
    expect(await jobRow(tuningJobName)).toMatchObject({ state: "ended", status: "Completed" });
    expect((await row(tuningJobName)).trials_read_at).not.toBeNull();
    expect(tuning.calls).not.toContain("ListTrainingJobs");
    await owner.terminate();
  });

  test("does not list tuning jobs while none is awaited", async () => {
    await expect(run(watcher().watchJobs, place())).resolves.toEqual({ idle: true });
    expect(tuning.calls).toEqual([]);
  });
});

/** A version that the cycle has made serves its customer. */
const serve = ({ fleet, cycle }: { fleet: string; cycle: string }) =>
  parts().ledger.query(
    `insert into releases (fleet, customer_key, version, cycle, model_package_arn, training_job_name,
                           artifact_uri, state, workflow_id)
     values ($1, 'site-1', 1, $2, 'arn:' || $1, 'job', 's3://b/k', 'serving', 'w')`,
    [fleet, cycle],
  );

describe("planning a cycle with a budget", () => {
  test("gives new customers the large search", async () => {
    await aCycle({ name: "budget", tuning: { ...SEARCH, budget: { holds: 2, drifts: 5 } } });
    const { rows } = await parts().ledger.query(
      "select search from customers where fleet = 'budget'",
    );
    expect(rows).toEqual([{ search: { maxJobs: 5, because: "no champion yet: large search" } }]);
  });

  test("and those whose champion still holds the small one", async () => {
    const name = "holds";
    const tuned = { ...SEARCH, budget: { holds: 2, drifts: 5 } };
    const earlier = await aCycle({ name, tuning: tuned });
    await serve(earlier);
    await parts().ledger.query(
      `insert into evaluations (fleet, cycle, customer_key, training_job_name, metrics, champion_metrics,
                                baseline_metrics, artifact_uri, predictions, decision, because)
       values ($1, $2, 'site-1', 'job', '{"rmse": 10}', '{"rmse": 10}', '{"rmse": 20}', 's3://b/k', '[]', 'ask', '')`,
      [name, earlier.cycle],
    );
    const cycle = await aCycle({
      name,
      tuning: tuned,
      cycle: "2013-08-01",
      training: { sourceHash: "b".repeat(64) },
    });
    const { tuningJobName } = await start(cycle);
    expect(tuning.request(tuningJobName).HyperParameterTuningJobConfig?.ResourceLimits).toEqual({
      MaxNumberOfTrainingJobs: 2,
      MaxParallelTrainingJobs: 2,
    });
    expect(await row(tuningJobName)).toMatchObject({
      size_because: "the champion still holds: small search",
    });
  });
});

describe("opening a cycle whose searches are wider than the worker's quota", () => {
  const open = (fleet: string, { testing = false } = {}) => {
    const { openCycle } = createCycleActivities({ ...parts(), maxTrainingJobs: 1 });
    const spec = noopFleet({ name: fleet, tuning: SEARCH });
    return run(openCycle, {
      ...{ spec, cycle: CYCLE, window: WINDOW, workflowId: "w", force: false, testing },
    });
  };

  test("is refused before anything is recorded or exported", async () => {
    await expect(open("wide-cycle")).rejects.toMatchObject({
      type: "SpecInvalid",
      nonRetryable: true,
      message: "tuning.parallel asks 2 training jobs at a time, the worker's quota is 1",
    });
    const { rows } = await parts().ledger.query("select from cycles where fleet = 'wide-cycle'");
    expect(rows).toEqual([]);
  });

  test("is not, where the searches have a single training job", async () => {
    await expect(open("wide-test", { testing: true })).resolves.toHaveProperty("specHash");
  });
});

describe("a customer whose data, code and spec are those of its champion", () => {
  const UNCHANGED = { train: 0, skipped: 1 };
  const TRAINED = { train: 1, skipped: 0 };

  /** Of the next cycle, after one whose search has found the champion. */
  async function nextPlan(name: string, next: Partial<TunedOptions> = {}, force = false) {
    const { fleet, cycle } = await aCycle({ name, cycle: "2013-08-01", ...next });
    const { planCycle } = createCycleActivities(parts());
    return run(planCycle, { fleet, cycle, shardSize: 250, force });
  }

  test("is not searched again, unless forced", async () => {
    await serve(await aCycle({ name: "same" }));
    await expect(nextPlan("same")).resolves.toMatchObject(UNCHANGED);
    await expect(nextPlan("same", {}, true)).resolves.toMatchObject(TRAINED);
  });

  test("is searched when its ranges have changed", async () => {
    await serve(await aCycle({ name: "ranges" }));
    const ranges = { x: continuous(0.1, 0.5), y: integer(1, 10) };
    await expect(nextPlan("ranges", { tuning: { ...SEARCH, ranges } })).resolves.toMatchObject(
      TRAINED,
    );
  });

  test("is trained by a testing run, which is to go the whole path", async () => {
    await serve(await aCycle({ name: "tested" }));
    await expect(nextPlan("tested", { testing: true })).resolves.toMatchObject(TRAINED);
  });

  test("is searched when the champion came of a testing run", async () => {
    await serve(await aCycle({ name: "by-test", testing: true }));
    await expect(nextPlan("by-test")).resolves.toMatchObject(TRAINED);
  });
});
