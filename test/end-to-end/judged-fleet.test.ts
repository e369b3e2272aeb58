/**
 * A worse challenger is rejected by the evidence: real training, and every record of it says the same. The worker has
 * the rights that `modelfleet iam worker-policy` prints, and no others.
 */
import { readFile, writeFile } from "node:fs/promises";
import { GetObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, expect, test } from "vitest";
import { s3Keys } from "../../fleet/names.js";
import { modelfleetJson } from "../cli/modelfleet.js";
import {
  cli,
  makeSmallFleet,
  startWorkerProcess,
  type RunningWorker,
} from "../faults/small-fleet.js";
import { holdToPolicy } from "../faults/sagemaker-admin.js";
import { startTestStack, type TestStack } from "../stack.js";

let stack: TestStack;
let worker: RunningWorker;

beforeAll(async () => {
  stack = await startTestStack({ basePort: 19408 });
  worker = await startWorkerProcess(stack);
});
afterAll(async () => {
  await worker.stop();
  await stack.close();
});

const FLEET = {
  name: "judged",
  customers: ["a"],
  rowsPerMonth: 1000,
  failureBudget: 1,
  tuning: "{ ranges: { eta: continuous(0.1, 0.5) }, maxJobs: 2 }",
  gate:
    `judgement: { kind: "non-inferior", margin: 0.01, confidence: 0.95 }, minimumTestRows: 30, ` +
    `noWorseThanBaseline: true, segments: [{ column: "promotion", maximumDrop: 0.5 }]`,
};

interface Judged {
  readonly cycle: string;
  readonly because: string;
}

const json = (...words: string[]) => modelfleetJson(words, { directory: stack.folder });

async function historyFile(file: string): Promise<string[][]> {
  const s3 = new S3Client({
    endpoint: String(stack.environment.AWS_ENDPOINT_URL_S3),
    region: "us-east-1",
    forcePathStyle: true,
    credentials: {
      accessKeyId: String(stack.environment.AWS_ACCESS_KEY_ID),
      secretAccessKey: String(stack.environment.AWS_SECRET_ACCESS_KEY),
    },
  });
  const { Body } = await s3.send(
    new GetObjectCommand({
      Bucket: String(stack.environment.MODELFLEET_BUCKET),
      Key: s3Keys.history("judged", file),
    }),
  );
  const text = (await Body?.transformToString()) ?? "";
  s3.destroy();
  return text
    .split("\n")
    .slice(0, -1)
    .map((line) => line.split(","));
}

test("the champion stays, and history, ledger and file tell how sure that was", async () => {
  const { file } = await makeSmallFleet(stack, FLEET);
  const policy = await cli(stack, "iam", "worker-policy", file);
  await holdToPolicy(stack, JSON.parse(policy.stdout));
  expect((await cli(stack, "run", file, "--at", "2024-02-01")).code).toBe(0);
  // A challenger of two trees, where the champion has twenty.
  const good = await readFile(file, "utf8");
  await writeFile(file, good.replace('num_round: "20"', 'num_round: "2"'));
  expect((await cli(stack, "run", file, "--at", "2024-03-01")).code).toBe(0);

  const { cycles } = (await json("history", "judged", "a")) as unknown as { cycles: Judged[] };
  expect(cycles).toMatchObject([
    {
      cycle: "2024-03-01",
      state: "champion-kept",
      version: null,
      testRows: expect.any(Number) as number,
      objective: { metric: "validation:rmse", value: expect.any(Number) as number },
      improvement: { metric: "rmse", confidence: 0.95 },
      segments: [{ column: "promotion", drop: expect.any(Number) as number }],
      because: expect.stringMatching(
        /above the champion's .*, between .* above and .* above with 95 % confidence \(policy asks not worse by more than 1 %: not shown\); in the worst promotion, rmse is .* above/,
      ) as string,
    },
    { cycle: "2024-02-01", releaseState: "serving", version: 1, improvement: null },
  ]);

  // Written when the cycle has been closed, so perhaps after `run` has seen that it is.
  const evaluations = () => historyFile("evaluationhistory.csv");
  await expect.poll(evaluations, { timeout: 30_000 }).toHaveLength(3);
  const [header = [], first = [], second = []] = await evaluations();
  const value = (row: string[], column: string) => row[header.indexOf(column)];
  expect([first, second].map((row) => value(row, "cycle"))).toEqual(["2024-02-01", "2024-03-01"]);
  expect(Number(value(second, "improvement_high"))).toBeLessThan(-0.01);
  expect(Number(value(second, "rmse"))).toBeGreaterThan(Number(value(second, "champion_rmse")));
  expect(value(second, "decision")).toBe("keep-champion");

  const found = () => historyFile("tuningjobhistory.csv");
  await expect.poll(found, { timeout: 30_000 }).toHaveLength(3);
  const [columns = [], ...searches] = await found();
  const trained = columns.indexOf("best_training_job");
  expect(searches.map((search) => search[trained])).toEqual(
    [first, second].map((row) => value(row, "trainingjob")),
  );
});

test("the fleet is destroyed with the rights that the worker has", async () => {
  const { code, stderr } = await cli(stack, "destroy", "judged", "--yes");
  expect(code, stderr).toBe(0);
});
