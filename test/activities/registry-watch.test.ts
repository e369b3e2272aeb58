/** Decisions made in the registry itself are carried out; what is decided here is not heard again. */
import {
  CreateModelPackageCommand,
  CreateModelPackageGroupCommand,
  DescribeModelPackageCommand,
  UpdateModelPackageCommand,
} from "@aws-sdk/client-sagemaker";
import { defaultPayloadConverter } from "@temporalio/common";
import { describe, expect, test } from "vitest";
import { announceVersion } from "../../activities/announce-version.js";
import { createApprovalActivities } from "../../activities/approval.js";
import { watchedVersions, type Place } from "../../activities/ledger/watched-versions.js";
import { createRegistryActivities } from "../../activities/registry.js";
import { createRegistryWatchActivities } from "../../activities/registry-watch.js";
import { approvalSchema } from "../../fleet/approval.schema.js";
import { modelPackageGroupName } from "../../fleet/names.js";
import { workflowIds } from "../../workflows/messages.js";
import { aFleet } from "./a-fleet.js";
import { activityEnvironment, run, useParts } from "./parts.js";
import { aVersion, STAGE, standing } from "./publishing.js";

/** The machine may be busy. */
const PATIENTLY = { timeout: 30_000 };

const parts = useParts(17780);
const dependencies = () => ({ ...parts(), watchSeconds: 0.05 });
const place = () => ({ account: parts().account, region: parts().region });

type State = "pending" | "approved" | "serving" | "retired";

interface Registered {
  readonly fleet: string;
  readonly customerKey: string;
  readonly version: number;
  readonly arn: string;
  readonly workflowId: string;
}

/** A version in the registry and in the ledger, with the workflow that waits for its decision. */
async function registered(name: string, state: State, version = 1): Promise<Registered> {
  const spec = aFleet({ name });
  const ledgerState = state === "pending" ? "pending" : "approved";
  const { customerKey, releaseWorkflowId } = await aVersion(parts(), {
    ...{ spec, customer: "xna", version, state: ledgerState, artifact: null },
  });
  const group = modelPackageGroupName(name, customerKey);
  if (version === 1)
    await parts().sagemaker.send(
      new CreateModelPackageGroupCommand({ ModelPackageGroupName: group }),
    );
  const { ModelPackageArn: arn = "" } = await parts().sagemaker.send(
    new CreateModelPackageCommand({
      ModelPackageGroupName: group,
      ModelApprovalStatus: state === "pending" ? "PendingManualApproval" : "Approved",
      InferenceSpecification: {
        Containers: [{ Image: "111111111111.dkr.ecr.us-east-1.amazonaws.com/image:1" }],
      },
    }),
  );
  const key = [name, customerKey, version];
  await parts().ledger.query(
    "update releases set model_package_arn = $4, state = $5 where fleet = $1 and customer_key = $2 and version = $3",
    [...key, arn, state],
  );
  if (state === "serving")
    await parts().ledger.query(
      `insert into publications (fleet, customer_key, version, stage, target_model, state)
       values ($1, $2, $3, $4, 't', 'serving')`,
      [...key, STAGE],
    );
  return { fleet: name, customerKey, version, arn, workflowId: releaseWorkflowId };
}

/** As somebody does with boto3 or on AWS's page. */
const setStatus = (
  { arn }: Registered,
  status: "Approved" | "Rejected" | "PendingManualApproval",
  description?: string,
) =>
  parts().sagemaker.send(
    new UpdateModelPackageCommand({
      ModelPackageArn: arn,
      ModelApprovalStatus: status,
      ...(description === undefined ? {} : { ApprovalDescription: description }),
    }),
  );

/** Lets the watcher work while the test looks, and ends it as a worker's shutdown would. */
async function watching(look: () => Promise<void>): Promise<void> {
  const environment = activityEnvironment();
  const { watchRegistry } = createRegistryWatchActivities(dependencies());
  const watched = environment.run(watchRegistry, place()).catch((error: unknown) => error);
  try {
    await look();
  } finally {
    environment.cancel();
  }
  expect(await watched).toBeInstanceOf(Error);
}

interface Told {
  readonly name: string;
  readonly said: unknown;
}

async function toldTo({ workflowId }: Registered): Promise<Told[]> {
  const { events } = await parts().temporal.workflow.getHandle(workflowId).fetchHistory();
  return (events ?? []).flatMap(({ workflowExecutionSignaledEventAttributes: signalled }) => {
    const payload = signalled?.input?.payloads?.[0];
    const said: unknown = payload ? defaultPayloadConverter.fromPayload(payload) : null;
    return signalled ? [{ name: signalled.signalName ?? "", said }] : [];
  });
}

async function withdrawalOf({ fleet, customerKey, version }: Registered): Promise<unknown> {
  const id = workflowIds.withdrawModel(fleet, customerKey, version);
  const { events } = await parts().temporal.workflow.getHandle(id).fetchHistory();
  const payload = events?.[0]?.workflowExecutionStartedEventAttributes?.input?.payloads?.[0];
  return payload ? defaultPayloadConverter.fromPayload(payload) : null;
}

describe("a decision made in the registry", () => {
  test("approves what waits, with who and why", async () => {
    const version = await registered("watch-approved", "pending");
    await setStatus(version, "Approved", "checked by hand");
    await watching(async () => {
      await expect.poll(() => toldTo(version), PATIENTLY).not.toEqual([]);
    });
    expect((await toldTo(version))[0]).toEqual({
      name: "approve",
      said: { by: expect.stringMatching(/^registry:./) as string, note: "checked by hand" },
    });
  });

  test("denies what waits, and says so when there is no reason", async () => {
    const version = await registered("watch-denied", "pending");
    await setStatus(version, "Rejected");
    await watching(async () => {
      await expect.poll(() => toldTo(version), PATIENTLY).not.toEqual([]);
    });
    expect((await toldTo(version))[0]).toMatchObject({
      name: "deny",
      said: { note: "rejected in the model registry, without a reason" },
    });
  });

  test("denies what is being published", async () => {
    const version = await registered("watch-publishing", "approved");
    await setStatus(version, "Rejected", "wrong month");
    await watching(async () => {
      await expect.poll(() => toldTo(version), PATIENTLY).not.toEqual([]);
    });
    expect((await toldTo(version))[0]).toMatchObject({
      name: "deny",
      said: { note: "wrong month" },
    });
  });

  test("withdraws what serves, once, and does not take our own words for the reason", async () => {
    const version = await registered("watch-serving", "serving");
    await setStatus(version, "Approved", "ada");
    await setStatus(version, "Rejected");
    await watching(async () => {
      await expect.poll(() => withdrawalOf(version).catch(() => null), PATIENTLY).not.toBeNull();
    });
    expect(await withdrawalOf(version)).toMatchObject({
      ...{ fleet: version.fleet, stage: STAGE, customerKey: version.customerKey, version: 1 },
      decision: { verdict: "deny", note: "rejected in the model registry, without a reason" },
    });
    expect(await toldTo(version)).toEqual([]);
  });

  test("is found among many that serve, a hundred a call", async () => {
    const version = await registered("watch-crowd", "serving");
    await parts().ledger.query(
      `insert into cycles (fleet, cycle, spec_hash, window_floor, window_ceiling, workflow_id, state)
       select fleet, 'crowd-' || n, spec_hash, window_floor, window_ceiling, workflow_id, state
         from cycles, generate_series(1, 250) n where fleet = 'watch-crowd'`,
    );
    await parts().ledger.query(
      `insert into releases (fleet, customer_key, version, cycle, model_package_arn, training_job_name,
                             artifact_uri, state, workflow_id)
       select fleet, 'a-' || n, 1, 'crowd-' || n, model_package_arn || n, 'job', 'uri', 'serving', 'gone'
         from releases, generate_series(1, 250) n where fleet = 'watch-crowd'`,
    );
    await setStatus(version, "Rejected", "among many");
    await watching(async () => {
      await expect.poll(() => withdrawalOf(version).catch(() => null), PATIENTLY).not.toBeNull();
    });
    await parts().ledger.query("update releases set state = 'retired' where fleet = 'watch-crowd'");
  });
});

describe("nothing happens", () => {
  test("to what the registry leaves open, or what is decided and over", async () => {
    const open = await registered("watch-open", "approved");
    await setStatus(open, "PendingManualApproval");
    const retired = await registered("watch-retired", "retired");
    await setStatus(retired, "Rejected");
    const witness = await registered("watch-witness", "pending");
    await setStatus(witness, "Approved");
    await watching(async () => {
      await expect.poll(async () => (await toldTo(witness)).length, PATIENTLY).toBeGreaterThan(1);
    });
    expect(await toldTo(open)).toEqual([]);
    expect(await toldTo(retired)).toEqual([]);
  });

  test("to what was decided here: the registry only repeats it", async () => {
    const version = await registered("watch-echo", "pending");
    const decision = { verdict: "deny", by: "ada", note: "drift" } as const;
    await run(createRegistryActivities(dependencies()).recordDecision, {
      ...version,
      ...{ decision, state: "denied", at: "2026-11-01T10:00:00.000Z" },
    });
    const witness = await registered("watch-echo-witness", "pending");
    await setStatus(witness, "Approved");
    await watching(async () => {
      await expect.poll(async () => (await toldTo(witness)).length, PATIENTLY).toBeGreaterThan(1);
    });
    expect(await toldTo(version)).toEqual([]);
  });
});

test("the watcher leaves when nothing waits, is published or serves", async () => {
  await parts().ledger.query("update releases set state = 'retired'");
  const { watchRegistry } = createRegistryWatchActivities(dependencies());
  await expect(run(watchRegistry, place())).resolves.toEqual({ idle: true });
  const { rowCount } = await parts().ledger.query("select from registry_watchers");
  expect(rowCount).toBe(0);
});

test("pages go on where the one before ended, and leave no version out", async () => {
  await parts().ledger.query("update releases set state = 'serving' where fleet = 'watch-crowd'");
  const seen: string[] = [];
  let after: Place = null;
  for (;;) {
    const page = await watchedVersions(parts().ledger, place(), {
      kind: "serving",
      after,
      limit: 40,
    });
    seen.push(...page.map(({ customerKey }) => customerKey));
    if (page.length < 40) break;
    after = page.at(-1) ?? null;
  }
  expect(new Set(seen).size).toBe(251);
  expect(seen).toHaveLength(251);
  await parts().ledger.query("update releases set state = 'retired'");
});

describe("a version that is registered", () => {
  test("tells older ones that wait, and wakes the registry's watcher, again if it is repeated", async () => {
    const older = await registered("announced", "pending", 1);
    const newer = await registered("announced", "pending", 2);
    await parts().ledger.query("delete from registry_watchers");
    await announceVersion(dependencies(), newer);
    await announceVersion(dependencies(), newer);
    expect(await toldTo(older)).toEqual(
      Array(2).fill({ name: "superseded", said: { version: 2 } }),
    );
    expect(await toldTo(newer)).toEqual([]);
    const { account, region } = place();
    const watcher = parts().temporal.workflow.getHandle(workflowIds.watchRegistry(account, region));
    await expect(watcher.describe()).resolves.toMatchObject({ type: "watchRegistry" });
    const { rowCount } = await parts().ledger.query("select from registry_watchers");
    expect(rowCount).toBe(1);
  });

  test("does not mind an older one whose workflow is gone", async () => {
    const older = await registered("announced-gone", "pending", 1);
    const newer = await registered("announced-gone", "pending", 2);
    await parts().temporal.workflow.getHandle(older.workflowId).terminate();
    await expect(announceVersion(dependencies(), newer)).resolves.toBeUndefined();
  });

  test("finds out as it starts whether a newer one is there, and how long it may wait", async () => {
    const name = "found";
    const older = await registered(name, "pending", 1);
    await registered(name, "pending", 2);
    const policy = approvalSchema.parse({ expireAfter: "14d", onExpiry: "keep-waiting" });
    await parts().ledger.query(
      "update fleet_specs set spec = spec || jsonb_build_object('approval', $1::jsonb) where fleet = $2",
      [JSON.stringify(policy), name],
    );
    const { findApproval } = createApprovalActivities(parts());
    const found = await run(findApproval, { ...older, cycle: "2013-07-01" });
    expect(found).toMatchObject({ supersededBy: 2, webhook: null });
    await expect(run(findApproval, { ...older, version: 9, cycle: "c" })).rejects.toMatchObject({
      type: "SpecInvalid",
    });
  });
});

describe("on record", () => {
  const record = (version: Registered, state: "approved" | "denied" | "superseded", at: string) =>
    run(createRegistryActivities(dependencies()).recordDecision, {
      ...version,
      decision: { verdict: state === "approved" ? "approve" : "deny", by: state, note: "why" },
      ...{ state, at },
    });
  const log = async ({ fleet }: Registered) =>
    (
      await parts().ledger.query<{ state: string; decided_by: string; note: string | null }>(
        "select state, decided_by, note from release_decisions where fleet = $1 order by decided_at",
        [fleet],
      )
    ).rows;
  const MONDAY = "2026-11-02T10:00:00.000Z";
  const TUESDAY = "2026-11-03T10:00:00.000Z";

  test("is every decision with who, when and why, however often it is recorded", async () => {
    const version = await registered("on-record", "pending");
    await record(version, "approved", MONDAY);
    await record(version, "approved", MONDAY);
    await record(version, "denied", TUESDAY);
    await record(version, "denied", TUESDAY);
    expect(await log(version)).toEqual([
      { state: "approved", decided_by: "approved", note: "why" },
      { state: "denied", decided_by: "denied", note: "why" },
    ]);
    const { sagemaker } = parts();
    await expect(
      sagemaker.send(new DescribeModelPackageCommand({ ModelPackageName: version.arn })),
    ).resolves.toMatchObject({
      ModelApprovalStatus: "Rejected",
      ApprovalDescription: "denied: why",
    });
  });

  test("is the policy's approval too, when a person denies after it", async () => {
    const version = await registered("on-record-policy", "approved");
    await parts().ledger.query(
      "update releases set decided_by = 'policy:f', decided_at = $1 where fleet = 'on-record-policy'",
      [MONDAY],
    );
    await record(version, "denied", TUESDAY);
    expect(await log(version)).toMatchObject([{ decided_by: "policy:f" }, { state: "denied" }]);
  });

  test("a version that serves goes on serving until it is withdrawn", async () => {
    const version = await registered("on-record-serving", "serving");
    await record(version, "denied", TUESDAY);
    const publication = { ...version, releaseWorkflowId: version.workflowId };
    expect(await standing(parts(), aFleet({ name: version.fleet }), publication)).toMatchObject({
      release: "serving",
      publication: "serving",
    });
  });

  test("what is superseded is no approval's to take back", async () => {
    const version = await registered("on-record-superseded", "pending");
    await record(version, "superseded", MONDAY);
    await record(version, "approved", TUESDAY);
    const publication = { ...version, releaseWorkflowId: version.workflowId };
    expect(await standing(parts(), aFleet({ name: version.fleet }), publication)).toMatchObject({
      release: "superseded",
      customer: "superseded",
    });
    await parts().ledger.query("update releases set state = 'retired'");
  });
});
