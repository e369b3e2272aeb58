/** `npm run example -- housing`: one model for each city behind one endpoint. */
import { CopyObjectCommand, DeleteObjectCommand } from "@aws-sdk/client-s3";
import { join } from "node:path";
import { printLines, say, tableLines } from "../../client/cli/print.js";
import { localTime, several, size } from "../../client/cli/words.js";
import type { Connections } from "../../client/connections.js";
import { invokeModel, readPointer, readSampleRows } from "../../client/invocation.js";
import { readCycle } from "../../client/ledger.js";
import { findStage, listServedModels, type ServedModel } from "../../client/served-models.js";
import { setting } from "../../client/settings.js";
import { s3Keys } from "../../fleet/names.js";
import { packageRoot } from "../../local/stack/package-root.js";
import type { Example, ExampleContext } from "../example.js";
import { cityName, load } from "./load.js";

const FLEET = "housing";
/** In the notebook that this replaces, by the wall clock of its caller. Milliseconds. */
const THERE = { cold: [1469, 1145], warm: [23, 19] } as const;

export const example: Example = {
  title: "one XGBoost model for each city, all on one multi-model endpoint",
  fleet: FLEET,
  fleetFile: join(packageRoot(), "examples/housing/fleet.ts"),
  cycles: ["2020-01-01", "2020-02-01", "2020-03-01", "2020-04-01", "2020-05-01", "2020-06-01"],
  settings: { cities: 4, houses: 1000 },
  load,
  show,
};

async function show(context: ExampleContext): Promise<void> {
  const { shell } = context;
  const models = await showServed(context);
  await showColdAndWarm(context);
  await showVersions(context, models);
  const { dim } = shell.progressColors;
  say(shell, "");
  say(shell, `  ${dim("how the endpoint fares:")}  modelfleet endpoint ${FLEET}`);
  say(shell, `  ${dim("take all of it down:")}    modelfleet destroy ${FLEET}`);
}

/** What `modelfleet models --stage` lists, set apart by when it came there. */
async function showServed({ shell, connections, run }: ExampleContext): Promise<ServedModel[]> {
  const stage = await findStage(connections, { fleet: FLEET });
  const { startedAt } = await readCycle(connections, { fleet: FLEET, cycle: run.cycle });
  const models: ServedModel[] = [];
  for await (const page of listServedModels(connections, { fleet: FLEET, stage }))
    models.push(...page);
  const before = models.filter(({ since }) => since < startedAt);
  const after = models.filter(({ since }) => since >= startedAt);
  say(shell, "");
  say(shell, `What the endpoint could serve before: ${several(before.length, "model")}`);
  if (before.length > 0) printLines(shell, modelLines(shell, before));
  say(shell, `Copied to it since, while it served: ${several(after.length, "model")}`);
  if (after.length > 0) printLines(shell, modelLines(shell, after));
  return models;
}

const modelLines = (shell: ExampleContext["shell"], models: readonly ServedModel[]): string[] =>
  tableLines(
    shell,
    [
      { title: "target model" },
      { title: "size", align: "right" },
      { title: "since" },
      { title: "" },
    ],
    models.map(({ targetModel, sizeBytes, since, isPointedTo }) => [
      targetModel ?? "",
      size(sizeBytes),
      localTime(since),
      isPointedTo ? "pointed to" : "",
    ]),
  );

/** Publishing has warmed what serves; so a copy under a name that the endpoint has not seen is called. */
async function showColdAndWarm({ shell, connections, settings }: ExampleContext): Promise<void> {
  const cities = Math.min(2, settings.cities ?? 2);
  const rows: string[][] = [];
  for (let index = 0; index < cities; index += 1) {
    const city = cityName(index);
    const cold = `${THERE.cold[index] ?? "–"} ms`;
    const warm = `${THERE.warm[index] ?? "–"} ms`;
    const [first, second] = await coldAndWarm(connections, city);
    rows.push([city, `${first.toFixed(1)} ms`, cold, `${second.toFixed(1)} ms`, warm]);
  }
  const right = { align: "right" } as const;
  const columns = [
    { title: "one invocation" },
    ...[
      { title: "cold", ...right },
      { title: "there", ...right },
    ],
    ...[
      { title: "warm", ...right },
      { title: "there", ...right },
    ],
  ];
  say(shell, "");
  printLines(shell, tableLines(shell, columns, rows));
}

async function coldAndWarm(connections: Connections, city: string): Promise<[number, number]> {
  const of = { fleet: FLEET, customer: city };
  const [pointer, sample] = [
    await readPointer(connections, of),
    await readSampleRows(connections, of),
  ];
  const stage = await findStage(connections, { fleet: FLEET });
  const s3 = await connections.s3();
  const Bucket = setting(connections.environment, "MODELFLEET_BUCKET");
  const targetModel = `tried/${Date.now()}.tar.gz`;
  const place = { fleet: FLEET, stage };
  const Key = s3Keys.artifact({ ...place, targetModel });
  const source = s3Keys.artifact({ ...place, targetModel: pointer.targetModel ?? "" });
  await s3.send(new CopyObjectCommand({ Bucket, Key, CopySource: `${Bucket}/${source}` }));
  try {
    const call = { fleet: FLEET, targetModel, body: sample.rows[0] ?? "" };
    const first = await invokeModel(connections, call);
    const second = await invokeModel(connections, call);
    return [first.latencyMs, second.latencyMs];
  } finally {
    await s3.send(new DeleteObjectCommand({ Bucket, Key }));
  }
}

/** The first city that has two: each is called by its own name, and neither overwrites the other. */
async function showVersions(
  { shell, connections }: ExampleContext,
  models: readonly ServedModel[],
): Promise<void> {
  const twice = models.find(
    ({ customer, version, isPointedTo }) =>
      isPointedTo && customer !== null && version !== null && version > 1,
  );
  if (twice?.customer == null) return;
  const { customer } = twice;
  const sample = await readSampleRows(connections, { fleet: FLEET, customer });
  const versions = models.filter((model) => model.customer === customer).slice(-2);
  say(shell, "");
  say(
    shell,
    `The same house in ${customer}, ${sample.columns.join(",")} = ${sample.rows[0] ?? ""}`,
  );
  for (const { targetModel } of versions) {
    const body = sample.rows[0] ?? "";
    const answer = await invokeModel(connections, { fleet: FLEET, targetModel, body });
    say(
      shell,
      `  ${targetModel ?? ""}  $${Math.round(answer.predictions[0] ?? NaN).toLocaleString("en-US")}`,
    );
  }
}
