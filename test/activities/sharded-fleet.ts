/** A sharded fleet, exported and planned, and what its job would leave in S3. */
import { PutObjectCommand } from "@aws-sdk/client-s3";
import { gzipSync } from "node:zlib";
import { buffer } from "node:stream/consumers";
import { pack } from "tar-stream";
import { createCycleActivities } from "../../activities/cycles.js";
import { createDatasetActivities } from "../../activities/datasets.js";
import { aFleet, CYCLE, openCycle } from "./a-fleet.js";
import { run, type Parts } from "./parts.js";

export interface ShardedFleetOptions {
  readonly name: string;
  readonly customers?: number;
  readonly cycle?: string;
  readonly training?: Readonly<Record<string, unknown>>;
  readonly tuning?: Readonly<Record<string, unknown>>;
  readonly gate?: Readonly<Record<string, unknown>>;
}

/** Customers are called `site-1`, `site-2` … and have 100 rows each. */
export const shardedFleet = ({
  name,
  customers = 3,
  training,
  tuning,
  gate,
}: ShardedFleetOptions) =>
  aFleet({
    name,
    source: {
      query:
        `select 'site-' || c as customer, n::float8 as target, n * c as x, 'a, "b"' as y ` +
        `from generate_series(1, ${customers}) c, generate_series(1, 100) n where now() > :floor and :ceiling > :floor`,
    },
    training: {
      kind: "sharded",
      image: "111111111111.dkr.ecr.us-east-1.amazonaws.com/modelfleet-noop:1",
      ...training,
    },
    ...(tuning === undefined ? {} : { tuning }),
    ...(gate === undefined ? {} : { gate }),
  });

export async function exportedCycle(parts: Parts, options: ShardedFleetOptions) {
  const spec = shardedFleet(options);
  const cycle = await openCycle(parts, spec, options.cycle ?? CYCLE);
  const datasets = createDatasetActivities({ ...parts, secret: async () => parts.warehouseUrl });
  await run(datasets.exportDataset, cycle);
  return { ...cycle, spec };
}

/** Ready for startShardedJob. */
export async function plannedCohort(parts: Parts, options: ShardedFleetOptions) {
  const cycle = await exportedCycle(parts, options);
  const cycles = createCycleActivities(parts);
  const { fleet, cycle: id } = cycle;
  await run(cycles.planCycle, { fleet, cycle: id, shardSize: 250, force: false });
  return cycle;
}

export const FIGURES: Readonly<Record<string, number>> = {
  "validation:rmse": 10.5,
  "test:rmse": 10,
  "test:mae": 8,
  "test:stdev_error": 9,
  "baseline:rmse": 20,
  "baseline:mae": 16,
  "train:rows": 60,
  "validation:rows": 30,
  "test:rows": 10,
  "verification:1": 1.5,
  "verification:2": 2.5,
  "verification:3": 3.5,
};

export const lineOf = (customer: string, more: object = {}): string =>
  JSON.stringify({ customer, metrics: FIGURES, ...more });

/** What the job's hosts tell, by host. */
export async function putResults(
  parts: Parts,
  job: { readonly outputPath: string; readonly name: string },
  hosts: Readonly<Record<string, string>>,
): Promise<void> {
  const archive = pack();
  for (const [host, text] of Object.entries(hosts))
    archive.entry({ name: `results-${host}.jsonl` }, text);
  archive.finalize();
  const body = gzipSync(await buffer(archive));
  await put(parts, `${job.outputPath}${job.name}/output/output.tar.gz`, body);
}

/** Under an S3 URI. */
export async function put(parts: Parts, uri: string, body: string | Buffer): Promise<void> {
  const key = uri.replace(`s3://${parts.bucket}/`, "");
  await parts.s3.send(new PutObjectCommand({ Bucket: parts.bucket, Key: key, Body: body }));
}
