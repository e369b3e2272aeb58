import { HeadObjectCommand } from "@aws-sdk/client-s3";
import { describe, expect, test } from "vitest";
import { createArtifactActivities } from "../../activities/artifacts.js";
import { recordServing } from "../../activities/ledger/publications.js";
import { s3Keys, targetModel } from "../../fleet/names.js";
import type { FleetSpec } from "../../fleet/spec.schema.js";
import type { Publication } from "../../workflows/messages.js";
import { aFleet } from "./a-fleet.js";
import { run, useParts } from "./parts.js";
import { aVersion, like, modelArchive, outcomesOf, put, STAGE, standing } from "./publishing.js";

const parts = useParts(17975);

const copy = (spec: FleetSpec, ...publications: Publication[]) =>
  run(createArtifactActivities(parts()).copyArtifacts, {
    fleet: spec.name,
    stage: STAGE,
    publications,
  });

async function copiedBytes(spec: FleetSpec, publication: Publication): Promise<number | undefined> {
  const { s3, bucket } = parts();
  const { customerKey, version } = publication;
  const target = targetModel(customerKey, version);
  const Key = s3Keys.artifact({ fleet: spec.name, stage: STAGE, targetModel: target });
  return (await s3.send(new HeadObjectCommand({ Bucket: bucket, Key }))).ContentLength;
}

/** As verifyAndPoint does it once the model has answered well. */
const serve = (spec: FleetSpec, { customerKey, version }: Publication) =>
  recordServing(
    parts().ledger,
    { fleet: spec.name, stage: STAGE },
    { customerKey, version, verification: { offline: [1], served: [1], latencyMs: 1 } },
    async () => undefined,
  );

describe("copyArtifacts", () => {
  test("puts an approved version where the endpoint finds it", async () => {
    const spec = aFleet({ name: "copied" });
    const artifact = await modelArchive(10);
    const version = await aVersion(parts(), { spec, customer: "Älpha & Co", version: 1, artifact });

    expect(await copy(spec, version)).toEqual({ rejected: [], overwritten: [] });

    expect(await copiedBytes(spec, version)).toBe(artifact.length);
    expect(await standing(parts(), spec, version)).toEqual({
      publication: "copied",
      release: "approved",
      customer: "approved",
      reason: null,
    });
    expect(await outcomesOf(parts(), version)).toEqual([]);
  });

  test("run twice leaves the same behind", async () => {
    const spec = aFleet({ name: "copied-twice" });
    const version = await aVersion(parts(), { spec, customer: "alpha", version: 1 });
    await copy(spec, version);
    const before = await standing(parts(), spec, version);

    expect(await copy(spec, version, version)).toEqual({ rejected: [], overwritten: [] });

    expect(await standing(parts(), spec, version)).toEqual(before);
  });

  test("rejects a version whose artifact is gone, and copies the others", async () => {
    const spec = aFleet({ name: "gone" });
    const gone = await aVersion(parts(), { spec, customer: "gone", version: 1, artifact: null });
    const fine = await aVersion(parts(), { spec, customer: "fine", version: 1 });

    const { rejected } = await copy(spec, gone, fine);

    const because = like(/^its artifact is gone: s3:.* does not exist$/);
    expect(rejected).toEqual([{ customerKey: "gone", version: 1, because }]);
    expect(await standing(parts(), spec, gone)).toEqual({
      publication: "rejected",
      release: "rejected",
      customer: "rejected",
      reason: because,
    });
    expect(await outcomesOf(parts(), gone)).toEqual([
      { kind: "rejected", stage: "local", version: 1, because },
    ]);
    expect(await standing(parts(), spec, fine)).toMatchObject({ publication: "copied" });
  });

  test("publishes a rejected version once its artifact is there, as its approval stands", async () => {
    const spec = aFleet({ name: "found-again" });
    const version = await aVersion(parts(), { spec, customer: "a", version: 1, artifact: null });
    const { rejected } = await copy(spec, version);
    const [, key = ""] = /s3:\/\/[^/]+\/(\S+)/.exec(rejected[0]?.because ?? "") ?? [];
    await put(parts(), key, await modelArchive(10));

    expect(await copy(spec, version)).toEqual({ rejected: [], overwritten: [] });

    expect(await standing(parts(), spec, version)).toEqual({
      publication: "copied",
      release: "approved",
      customer: "approved",
      reason: null,
    });
  });

  test.each([
    ["pending", /^no approval on record/],
    ["denied", /^ada denied it/],
  ] as const)("rejects a %s version, and decides nothing about it", async (state, because) => {
    const spec = aFleet({ name: `not-approved-${state}` });
    const version = await aVersion(parts(), { spec, customer: "alpha", version: 1, state });

    const { rejected } = await copy(spec, version);

    expect(rejected).toMatchObject([{ because: like(because) }]);
    await expect(copiedBytes(spec, version)).rejects.toThrow();
    expect(await standing(parts(), spec, version)).toMatchObject({
      release: state,
      customer: state,
    });
    expect(await outcomesOf(parts(), version)).toMatchObject([{ kind: "rejected" }]);
  });

  test("rejects a version that the ledger does not know", async () => {
    const spec = aFleet({ name: "unknown" });
    const stray = { customerKey: "alpha", version: 9, releaseWorkflowId: "release/nobody" };
    const { rejected } = await copy(spec, stray);
    expect(rejected).toMatchObject([{ because: like(/^no approval on record/) }]);
  });

  test("rejects a version older than what serves, and one that was replaced", async () => {
    const spec = aFleet({ name: "older" });
    const [first, second, third] = [
      await aVersion(parts(), { spec, customer: "alpha", version: 1 }),
      await aVersion(parts(), { spec, customer: "alpha", version: 2 }),
      await aVersion(parts(), { spec, customer: "alpha", version: 3 }),
    ];
    await copy(spec, first);
    await serve(spec, first);
    await copy(spec, third);
    await serve(spec, third);

    const { rejected } = await copy(spec, second, first);

    const because = "version 3 serves, which is newer";
    expect(rejected).toMatchObject([
      { version: 2, because },
      { version: 1, because },
    ]);
    expect(await standing(parts(), spec, second)).toMatchObject({ release: "rejected" });
    expect(await standing(parts(), spec, first)).toMatchObject({
      publication: "replaced",
      release: "retired",
    });
  });

  test("tells a version that serves already that it serves, though its artifact is gone", async () => {
    const spec = aFleet({ name: "serves-already" });
    const version = await aVersion(parts(), { spec, customer: "a", version: 1, artifact: null });
    await serve(spec, version);
    await parts().ledger.query(
      `insert into publications (fleet, stage, customer_key, version, target_model, state)
       values ($1, $2, 'a', 1, 'a/v000001.tar.gz', 'serving')`,
      [spec.name, STAGE],
    );

    expect((await copy(spec, version)).rejected).toHaveLength(1);

    expect(await standing(parts(), spec, version)).toMatchObject({ publication: "serving" });
    expect(await outcomesOf(parts(), version)).toEqual([
      { kind: "serving", stage: "local", version: 1, targetModel: "a/v000001.tar.gz" },
    ]);
  });
});
