/** Whose rows a pipeline prepares by which generation of its preprocessor, and what is asked of the outputs. */
import { GetObjectCommand, PutObjectCommand } from "@aws-sdk/client-s3";
import { expect, test } from "vitest";
import { recordPreprocessor } from "../../activities/ledger/preprocessors.js";
import { createTransformActivities } from "../../activities/transform.js";
import { parseS3Uri } from "../../activities/s3-uri.js";
import { fleetSpecSchema } from "../../fleet/spec.schema.js";
import { aFleet, openCycle } from "./a-fleet.js";
import { run, useParts } from "./parts.js";

const parts = useParts(19396);

const activities = () => createTransformActivities({ ...parts(), watchSeconds: 1 });

const pipeline = (name: string) =>
  fleetSpecSchema.parse({
    ...aFleet({ name }),
    training: {
      kind: "pipeline",
      source: "model",
      sourceHash: "0".repeat(64),
      preprocessor: { source: "preprocessor", sourceHash: "0".repeat(64) },
    },
    endpoint: { kind: "pipeline" },
  });

/** Customers that the cycle trains, each with the generation of its champion. */
async function plan(name: string, champions: Readonly<Record<string, number | null>>) {
  const { ledger } = parts();
  const ref = await openCycle(parts(), pipeline(name));
  for (const [key, generation] of Object.entries(champions)) {
    const row = [ref.fleet, ref.cycle, key];
    await ledger.query(
      `insert into customers (fleet, cycle, customer_key, customer, shard, state, champion_version, data_hash)
       values ($1, $2, $3, $3, 0, 'planned', $4, 'd')`,
      [...row, generation === null ? null : 1],
    );
    if (generation !== null)
      await ledger.query(
        `insert into releases (fleet, cycle, customer_key, version, model_package_arn, training_job_name,
                               artifact_uri, state, workflow_id, generation)
         values ($1, 'earlier', $2, 1, $1 || $2, 'job', 's3://bucket/model.tar.gz', 'serving', 'w', $3)`,
        [ref.fleet, key, generation],
      );
  }
  return ref;
}

async function listed(uri: string): Promise<unknown> {
  const { bucket: Bucket, key: Key } = parseS3Uri(uri);
  const { Body } = await parts().s3.send(new GetObjectCommand({ Bucket, Key }));
  return JSON.parse((await Body?.transformToString()) ?? "");
}

test("all rows are prepared by the new generation, and test rows once more by a champion's own", async () => {
  const ref = await plan("transformed", { a: null, b: 2, c: 1, d: 1 });
  const planned = await run(activities().planTransforms, { ...ref, generation: 2 });
  const told = planned.parts.map(({ part, generation, objects, folder }) => [
    ...[part, generation, objects, folder.slice(planned.folder.length)],
  ]);
  expect(told).toEqual([
    ["train", 2, 4, "data/"],
    ["validation", 2, 4, "data/"],
    ["test", 2, 4, "data/"],
    ["champions", 1, 2, "champions/g1/"],
  ]);
  expect(await listed(planned.parts[3]?.rowsUri ?? "")).toEqual([
    { prefix: `s3://${parts().bucket}/fleets/transformed/cycles/${ref.cycle}/data/` },
    "c/test/data.csv",
    "d/test/data.csv",
  ]);
  // Another attempt plans the same; other rows are other work.
  expect(await run(activities().planTransforms, { ...ref, generation: 2 })).toEqual(planned);
  expect((await run(activities().planTransforms, { ...ref, generation: 3 })).folder).not.toBe(
    planned.folder,
  );
});

test("outputs that are not where training looks fail the cycle, and are told", async () => {
  const ref = await plan("lost", { a: null });
  const planned = await run(activities().planTransforms, { ...ref, generation: 1 });
  const keep = () => run(activities().keepTransformed, { ...ref, ...planned });
  await expect(keep()).rejects.toMatchObject({
    type: "PreparationFailed",
    message: expect.stringContaining(
      "of the train rows completed, but of 1 outputs 0 are",
    ) as unknown,
  });
  for (const { part, folder } of planned.parts)
    await parts().s3.send(
      new PutObjectCommand({
        Bucket: parts().bucket,
        Key: `${folder}a/${part}/data.csv.out`,
        Body: "1,2\n",
      }),
    );
  await keep();
  const { rows } = await parts().ledger.query(
    "select transformed, generation from cycles where fleet = 'lost'",
  );
  expect(rows).toEqual([{ transformed: planned.folder, generation: 1 }]);
});

test("a preprocessor is a generation once, however often it is recorded", async () => {
  const { ledger } = parts();
  const { fleet, cycle } = await openCycle(parts(), pipeline("generations"));
  const record = (hash: string) =>
    recordPreprocessor(ledger, {
      ...{ fleet, cycle, hash, specHash: "s", trainingJobName: "job" },
      artifactUri: "s3://bucket/model.tar.gz",
    });
  expect([await record("one"), await record("two"), await record("one")]).toEqual([1, 2, 1]);
});
