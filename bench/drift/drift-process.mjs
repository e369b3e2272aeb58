/**
 * One comparison by modelfleet's own activity, in a process of its own. Plain JavaScript on the built package, so that
 * its memory is a worker's: no TypeScript compiler stands in it.
 *
 * usage: drift-process.mjs FLEET RUN
 */
import { MockActivityEnvironment } from "@temporalio/testing";
import { createDriftActivities } from "../../dist/activities/drift.js";
import { openLedger } from "../../dist/activities/ledger/pool.js";

const [fleet, run] = process.argv.slice(2);
const ledger = openLedger({ url: process.env.MODELFLEET_LEDGER_URL, maxConnections: 4 });
const { compareWindows } = createDriftActivities({ ledger, secret: (name) => process.env[name] });
const started = performance.now();
const counts = await new MockActivityEnvironment().run(compareWindows, { fleet, run });
const seconds = (performance.now() - started) / 1000;
process.stdout.write(`${JSON.stringify({ seconds, ...counts })}\n`);
await ledger.end();
process.exit(0);
