/** The flights fleet's datasets of successive months, exported as cycles export them. */
import { fileURLToPath } from "node:url";
import { S3Client } from "@aws-sdk/client-s3";
import { MockActivityEnvironment } from "@temporalio/testing";
import type pg from "pg";
import { createDatasetActivities } from "../../activities/datasets.js";
import { uploadCode } from "../../client/code-upload.js";
import { openConnections } from "../../client/connections.js";
import { loadFleetFile } from "../../client/fleet-file.js";
import { callerAccount } from "../../client/health-aws.js";
import type { FleetSpec } from "../../fleet/spec.schema.js";
import type { TuningSpec } from "../../fleet/tuning.schema.js";
import { cycleWindow } from "../../fleet/window.js";
import { openCycles } from "../export/fleet.js";
import { required, type BenchStack } from "../stack.js";

export type TunedSpec = FleetSpec & { readonly tuning: TuningSpec };

/** The flights fleet with this search, its code uploaded. */
export async function tunedFleet(stack: BenchStack, tuning: TuningSpec): Promise<TunedSpec> {
  const file = fileURLToPath(new URL("../../examples/flights/fleet.ts", import.meta.url));
  const connections = openConnections(stack.environment);
  const loaded = await loadFleetFile(file, () => callerAccount(connections));
  try {
    await uploadCode(connections, loaded);
  } finally {
    await connections.close();
  }
  // What is searched must not be fixed too.
  const training = { ...loaded.spec.training, hyperparameters: {} };
  return { ...loaded.spec, training, tuning };
}

export interface Dataset {
  readonly cycle: string;
  readonly customerKey: string;
  readonly dataHash: string | null;
  readonly rows: number;
}

/** By cycle and customer's key: those with enough rows in every one of the cycles. */
export async function exportDatasets(
  stack: BenchStack,
  ledger: pg.Pool,
  spec: TunedSpec,
  cycles: readonly string[],
): Promise<Map<string, Map<string, Dataset>>> {
  const windows = cycles.map((cycle) => ({
    cycle,
    window: cycleWindow(spec.source.window, cycle),
  }));
  await openCycles(ledger, spec, windows);
  const { exportDataset } = createDatasetActivities({
    ledger,
    s3: new S3Client({ forcePathStyle: true }),
    bucket: required(stack.environment, "MODELFLEET_BUCKET"),
    secret: async (name) => stack.environment[name],
  });
  for (const cycle of cycles)
    await new MockActivityEnvironment().run(exportDataset, { fleet: spec.name, cycle });
  const { rows } = await ledger.query<Dataset>(
    `select cycle, customer_key as "customerKey", data_hash as "dataHash",
            (train_rows + validation_rows + test_rows)::int as rows
       from customers
      where fleet = $1 and customer_key in
            (select customer_key from customers
              where fleet = $1 and train_rows + validation_rows + test_rows >= $2
              group by customer_key having count(*) = $3)
      order by customer_key`,
    [spec.name, spec.source.minimumRows, cycles.length],
  );
  return new Map(
    cycles.map((cycle) => [
      cycle,
      new Map(rows.filter((row) => row.cycle === cycle).map((row) => [row.customerKey, row])),
    ]),
  );
}

/** So many of them, evenly spread over their sizes. */
export function spreadOverSizes(datasets: readonly Dataset[], count: number): Dataset[] {
  const bySize = [...datasets].sort((a, b) => a.rows - b.rows);
  const step = (bySize.length - 1) / Math.max(1, count - 1);
  const places = Array.from({ length: Math.min(count, bySize.length) }, (_, index) =>
    Math.round(index * step),
  );
  return places.flatMap((place) => bySize[place] ?? []);
}
