/**
 * One export by modelfleet's own activity, in a process of its own: a small one before the clock starts, as a
 * worker that has run for a while would have behind it, then the measured one. Plain JavaScript on the built
 * package, so that its memory is a worker's: no TypeScript compiler stands in it.
 *
 * usage: export-process.mjs FLEET WARM_UP_CYCLE CYCLE s3|null
 */
import { S3Client } from "@aws-sdk/client-s3";
import { MockActivityEnvironment } from "@temporalio/testing";
import { createDatasetActivities } from "../../dist/activities/datasets.js";
import { openLedger } from "../../dist/activities/ledger/pool.js";

const [fleet, warmUpCycle, cycle, sink] = process.argv.slice(2);
const { MODELFLEET_LEDGER_URL: url, MODELFLEET_BUCKET: bucket } = process.env;

const ledger = openLedger({ url, maxConnections: 4 });
const s3 = new S3Client({ forcePathStyle: true });
if (sink === "null") answerAtOnce(s3);
const { exportDataset } = createDatasetActivities({
  ledger,
  s3,
  bucket,
  secret: (name) => process.env[name],
});

await run(warmUpCycle);
const cpuBefore = process.cpuUsage();
const started = performance.now();
const { rows, customers } = await run(cycle);
const seconds = (performance.now() - started) / 1000;
const cpu = process.cpuUsage(cpuBefore);
const cpuSeconds = (cpu.user + cpu.system) / 1e6;
process.stdout.write(`${JSON.stringify({ seconds, cpuSeconds, rows, customers })}\n`);
await ledger.end();
process.exit(0);

function run(ofCycle) {
  return new MockActivityEnvironment().run(exportDataset, { fleet, cycle: ofCycle });
}

/** Nothing is serialised, hashed or sent: the export without its object store. */
function answerAtOnce(client) {
  const output = { $metadata: {}, ETag: '"0"', UploadId: "1" };
  client.middlewareStack.add(() => async () => ({ response: undefined, output }), {
    step: "initialize",
    priority: "high",
  });
}
