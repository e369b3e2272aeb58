/** The fits of a cohort in a plain pool of processes, on the files that its job was given. */
import { mkdir, writeFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import type { Connections } from "../../client/connections.js";
import { customerFile, customerKey, s3Keys } from "../../fleet/names.js";
import { lastJsonLine, runMeasured } from "../measured-process.js";
import { required, type BenchStack } from "../stack.js";

const foundSchema = z.object({ seconds: z.number(), predictions: z.number() });

export interface PlainPool {
  /** From the first fit to the last; the interpreter and its imports are not in it. */
  readonly seconds: number;
  readonly processes: number;
  readonly wallSeconds: number;
}

export async function runPlainPool(
  stack: BenchStack,
  connections: Connections,
  cohort: { readonly fleet: string; readonly cycle: string; readonly customers: number },
): Promise<PlainPool> {
  const folder = join(stack.workFolder, "customers");
  await download(stack, connections, cohort, folder);
  const processes = availableParallelism();
  const script = join(import.meta.dirname, "plain_pool.py");
  const { usage, stdout } = await runMeasured(stack, {
    command: stack.productPython,
    args: [script, folder, String(processes)],
  });
  const { seconds } = foundSchema.parse(lastJsonLine(stdout));
  return { seconds, processes, wallSeconds: usage.wallSeconds };
}

async function download(
  stack: BenchStack,
  connections: Connections,
  { fleet, cycle, customers }: { fleet: string; cycle: string; customers: number },
  folder: string,
): Promise<void> {
  const { GetObjectCommand } = await import("@aws-sdk/client-s3");
  const s3 = await connections.s3();
  const Bucket = required(stack.environment, "MODELFLEET_BUCKET");
  await mkdir(folder, { recursive: true });
  for (let customer = 0; customer < customers; customer++) {
    const key = customerKey(String(customer));
    const Key = s3Keys.customerRows({ fleet, cycle, customerKey: key });
    const { Body } = await s3.send(new GetObjectCommand({ Bucket, Key }));
    await writeFile(join(folder, customerFile(key)), (await Body?.transformToByteArray()) ?? "");
  }
}
