/** Endpoints of a pipeline: one for each generation of the preprocessor, as long as anybody is pointed there. */
import {
  DescribeEndpointCommand,
  DescribeEndpointConfigCommand,
  DescribeModelCommand,
  ListEndpointConfigsCommand,
  ListEndpointsCommand,
  ListModelsCommand,
} from "@aws-sdk/client-sagemaker";
import { beforeAll, expect, test } from "vitest";
import { createArtifactActivities } from "../../activities/artifacts.js";
import { createEndpointActivities } from "../../activities/endpoints.js";
import { createWithdrawalActivities } from "../../activities/withdrawals.js";
import { endpointName, pipelineEndpointName, s3Keys, specHash } from "../../fleet/names.js";
import type { FleetSpec } from "../../fleet/spec.schema.js";
import type { Publication, Withdrawal } from "../../workflows/messages.js";
import { tarGz } from "../hosting/artifacts.js";
import { aFleet } from "./a-fleet.js";
import { run, useParts } from "./parts.js";
import {
  aVersion,
  aWithdrawal,
  like,
  modelArchive,
  pointerOf,
  put,
  signalsOf,
  STAGE,
  standing,
  uploadCode,
  withRuntime,
} from "./publishing.js";

const parts = useParts(19372);

/** Multiplies every field of a row by the number that it was fitted to. */
const preprocess = `
import json
from pathlib import Path

def model_fn(model_dir):
    return json.loads((Path(model_dir) / "model.json").read_text())["factor"]

def input_fn(body, content_type):
    text = body if isinstance(body, str) else body.decode()
    return [[float(field) for field in line.split(",")] for line in text.splitlines()]

def predict_fn(rows, factor):
    return [[factor * field for field in row] for row in rows]

def output_fn(rows, accept):
    return "\\n".join(",".join(str(field) for field in row) for row in rows), "text/csv"
`;

let spec: FleetSpec;
const preprocessorHash = "b".repeat(64);

beforeAll(async () => {
  spec = aFleet({
    name: "piped",
    training: {
      kind: "pipeline",
      preprocessor: { source: "preprocessor", sourceHash: preprocessorHash },
    },
    endpoint: { kind: "pipeline" },
  });
  await uploadCode(parts(), spec);
  const code = await tarGz({ "inference.py": preprocess });
  await put(parts(), s3Keys.code(spec.name, preprocessorHash), code);
});

/** The first fits to 1, the second to 2, … */
async function fitPreprocessor(generation: number): Promise<void> {
  const key = `fleets/piped/preprocessors/${generation}/model.tar.gz`;
  await put(parts(), key, await modelArchive(generation));
  await parts().ledger.query(
    `insert into preprocessors (fleet, generation, preprocessor_hash, spec_hash, cycle, training_job_name, artifact_uri)
     values ('piped', $1, $2, $3, '2013-07-01', 'job', $4)`,
    [generation, `hash-${generation}`, specHash(spec), `s3://${parts().bucket}/${key}`],
  );
}

async function version(customer: string, number: number, generation: number): Promise<Publication> {
  const sum = (rows: number) => 10 * number * generation * rows;
  const artifact = await modelArchive(10 * number);
  const predictions = [sum(3), sum(7)];
  const made = await aVersion(parts(), { spec, customer, version: number, artifact, predictions });
  await parts().ledger.query(
    "update releases set generation = $3 where fleet = 'piped' and customer_key = $1 and version = $2",
    [made.customerKey, number, generation],
  );
  return made;
}

const dependencies = () => ({ ...withRuntime(parts()), graceSeconds: 0.1 });
const place = { fleet: "piped", stage: STAGE };
let clock = Date.parse("2026-11-21T14:30:00Z");
const ensure = (fleet = place.fleet) =>
  run(createEndpointActivities(dependencies()).ensureEndpoint, {
    ...{ ...place, fleet, reload: false },
    at: new Date((clock += 1000)).toISOString(),
  });

const publish = (...publications: Publication[]) => publishIn(place.fleet, ...publications);

async function publishIn(fleet: string, ...publications: Publication[]): Promise<void> {
  const batch = { ...place, fleet, publications };
  const copied = await run(createArtifactActivities(parts()).copyArtifacts, batch);
  expect(copied.rejected).toEqual([]);
  await ensure(fleet);
  await run(createEndpointActivities(dependencies()).verifyAndPoint, batch);
}

async function withdraw(publication: Publication): Promise<Withdrawal> {
  const { recordWithdrawal, settleWithdrawals, restoreArtifacts } =
    createWithdrawalActivities(dependencies());
  const { customerKey, version: number } = publication;
  await run(recordWithdrawal, {
    ...{ ...place, customerKey, version: number },
    decision: { verdict: "deny", by: "ann" },
  });
  const withdrawal = await aWithdrawal(parts(), spec, publication);
  const batch = { ...place, withdrawals: [withdrawal] };
  const fast = await run(settleWithdrawals, { ...batch, restored: null }).catch(() => "failed");
  if (typeof fast === "object" && fast.open.length === 0) return withdrawal;
  const { restored } = await run(restoreArtifacts, { ...place, customerKeys: [customerKey] });
  await ensure();
  expect(await run(settleWithdrawals, { ...batch, restored })).toEqual({ open: [] });
  return withdrawal;
}

async function there(fleet = place.fleet) {
  const { sagemaker } = parts();
  const page = { NameContains: `${fleet}-`, MaxResults: 100 };
  const { Endpoints = [] } = await sagemaker.send(new ListEndpointsCommand(page));
  return Endpoints.map(({ EndpointName }) => EndpointName).sort();
}
const g = (generation: number): string => pipelineEndpointName("piped", STAGE, generation);

test("customers move from one generation to the next, and the endpoint goes with the last of them", async () => {
  await fitPreprocessor(1);
  const first = [await version("a", 1, 1), await version("b", 1, 1)];
  await publish(...first);
  for (const one of first)
    expect(await standing(parts(), spec, one)).toMatchObject({ publication: "serving" });
  expect(await pointerOf(parts(), spec, "a")).toMatchObject({
    ...{ endpoint: g(1), targetModel: "a/v000001.tar.gz", version: 1 },
  });
  const { sagemaker } = parts();
  const described = await sagemaker.send(new DescribeEndpointCommand({ EndpointName: g(1) }));
  const config = await sagemaker.send(
    new DescribeEndpointConfigCommand({ EndpointConfigName: described.EndpointConfigName }),
  );
  const ModelName = config.ProductionVariants?.[0]?.ModelName;
  const model = await sagemaker.send(new DescribeModelCommand({ ModelName }));
  expect(model.Containers).toMatchObject([
    { ModelDataUrl: like(/preprocessors\/1\/model\.tar\.gz$/), Image: like(/scikit-learn/) },
    { Mode: "MultiModel", ModelDataUrl: like(/\/stages\/local\/g1\/models\/$/) },
  ]);

  await fitPreprocessor(2);
  await publish(await version("a", 2, 2));
  expect(await pointerOf(parts(), spec, "a")).toMatchObject({ endpoint: g(2), version: 2 });
  expect(await pointerOf(parts(), spec, "b")).toMatchObject({ endpoint: g(1), version: 1 });
  expect(await there()).toEqual([g(1), g(2)]);

  await publish(await version("b", 2, 2));
  await expect.poll(() => there()).toEqual([g(2)]);
  const page = { NameContains: g(1) };
  const configs = await sagemaker.send(new ListEndpointConfigsCommand(page));
  const models = await sagemaker.send(new ListModelsCommand(page));
  expect([configs.EndpointConfigs, models.Models]).toEqual([[], []]);

  // The way back makes the endpoint of the older generation anew.
  const denied = { customerKey: "b", version: 2, releaseWorkflowId: "" };
  const withdrawal = await withdraw(denied);
  expect(await pointerOf(parts(), spec, "b")).toMatchObject({ endpoint: g(1), version: 1 });
  expect(await signalsOf(parts(), withdrawal.withdrawWorkflowId)).toEqual([
    { version: 2, stage: "local", servesNow: { version: 1, targetModel: "b/v000001.tar.gz" } },
  ]);
  expect(await there()).toEqual([g(1), g(2)]);
});

test("endpoints of another kind stay until the last customer has moved, and then they go", async () => {
  const name = "moving";
  const shared = aFleet({ name });
  const single = aFleet({ name, endpoint: { kind: "serverless" } });
  await uploadCode(parts(), shared);
  const own = (key: string) => endpointName(name, STAGE, key);
  const made = (spec: FleetSpec, customer: string, version: number) =>
    aVersion(parts(), { spec, customer, version });
  await publishIn(name, await made(shared, "a", 1), await made(shared, "b", 1));
  expect(await there(name)).toEqual([endpointName(name, STAGE)]);

  await publishIn(name, await made(single, "a", 2));
  expect(await there(name)).toEqual([endpointName(name, STAGE), own("a")]);
  await publishIn(name, await made(single, "b", 2));
  await expect.poll(() => there(name)).toEqual([own("a"), own("b")]);
  expect(await pointerOf(parts(), single, "b")).toMatchObject({ endpoint: own("b"), version: 2 });

  // And back again.
  await publishIn(name, await made(shared, "a", 3));
  await expect.poll(() => there(name)).toEqual([endpointName(name, STAGE), own("b")]);
  await publishIn(name, await made(shared, "b", 3));
  await expect.poll(() => there(name)).toEqual([endpointName(name, STAGE)]);
  const page = { NameContains: `${name}-${STAGE}--` };
  const { EndpointConfigs } = await parts().sagemaker.send(new ListEndpointConfigsCommand(page));
  expect(EndpointConfigs).toEqual([]);
});
