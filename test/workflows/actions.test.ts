/** What a customer costs in Temporal: billable actions and history events, counted in the histories themselves. */
import { expect, test } from "vitest";
import { tuningSchema } from "../../fleet/tuning.schema.js";
import { workflowIds } from "../../workflows/messages.js";
import type { releaseModel } from "../../workflows/release-model.js";
import type { retrainFleet } from "../../workflows/retrain-fleet.js";
import { aFleetSpec, testPace } from "./builders.js";
import { useTemporal } from "./environment.js";
import { createFakes, type Fakes } from "./fakes.js";

const temporal = useTemporal();

/** https://docs.temporal.io/cloud/actions: what each event stands for, without retries and heartbeats. */
const ACTIONS: Readonly<Record<string, number>> = {
  workflowExecutionStartedEventAttributes: 1,
  // Together with the child's own start a child costs two.
  startChildWorkflowExecutionInitiatedEventAttributes: 1,
  activityTaskScheduledEventAttributes: 1,
  timerStartedEventAttributes: 1,
  workflowExecutionSignaledEventAttributes: 1,
  workflowExecutionUpdateAcceptedEventAttributes: 1,
  upsertWorkflowSearchAttributesEventAttributes: 1,
};

const tuning = tuningSchema.parse({
  ranges: { x: { type: "continuous", min: 0, max: 1 } },
  maxJobs: 4,
});

test.each([
  ["trains", {}],
  ["searches", { tuning }],
])(
  "a customer whom the policy approves costs at most 12 actions, where the fleet %s",
  async (_how, changes) => {
    const customers = Array.from({ length: 60 }, (_none, index) => `c${index}`);
    const spec = aFleetSpec({ concurrency: 20, ...changes });
    const fakes: Fakes = createFakes(temporal.client(), () => taskQueue, {
      shards: [customers],
      job: () => ({ status: "Completed", bestTrainingJobName: "best" }),
    });
    const { taskQueue } = await temporal.worker(fakes.activities, { warehouse: true });
    const cycle = await temporal.client().workflow.start<typeof retrainFleet>("retrainFleet", {
      taskQueue,
      workflowId: workflowIds.retrainFleet(spec.name, "2013-07-01"),
      args: [{ spec, at: "2013-07-01", pace: { ...testPace, collectSeconds: 1 } }],
    });
    expect(await cycle.result()).toMatchObject({ registered: 60 });
    for (const customer of customers)
      await temporal
        .client()
        .workflow.getHandle<typeof releaseModel>(workflowIds.releaseModel(spec.name, customer, 7))
        .result();

    const trainings = customers.map((customer) =>
      workflowIds.retrainModel(spec.name, customer, "2013-07-01"),
    );
    const others = [
      ...customers.map((customer) => workflowIds.releaseModel(spec.name, customer, 7)),
      cycle.workflowId,
      workflowIds.retrainShard(spec.name, "2013-07-01", 0),
      workflowIds.serveEndpoint(spec.name, "sandbox"),
    ];
    let actions = 0;
    for (const workflowId of others) actions += sum(await countActions(workflowId));
    for (const workflowId of trainings) {
      const counted = await countActions(workflowId);
      // A fake job may end before anybody waits for it; a real one never does.
      actions += sum({ timerStartedEventAttributes: 1, ...counted });
    }
    expect(actions / customers.length).toBeLessThanOrEqual(12);
  },
);

/** By kind of event. */
async function countActions(workflowId: string): Promise<Record<string, number>> {
  const counted: Record<string, number> = {};
  const { events } = await temporal.client().workflow.getHandle(workflowId).fetchHistory();
  for (const event of events ?? [])
    for (const [name, cost] of Object.entries(ACTIONS))
      if (Reflect.get(event, name) != null) counted[name] = (counted[name] ?? 0) + cost;
  return counted;
}

const sum = (counted: Readonly<Record<string, number>>): number =>
  Object.values(counted).reduce((total, count) => total + count, 0);
