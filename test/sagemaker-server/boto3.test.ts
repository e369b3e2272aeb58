/** The server as boto3 sees it: creations, waiters, paginators, errors. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import {
  account,
  bucket,
  region,
  roleArn,
  setting,
  useCloud,
  useServer,
  userKeys,
} from "./cloud.js";
import { unique } from "./requests.js";

const cloud = useCloud(17484);
const url = useServer(cloud);

test("boto3 creates, waits, pages and reads errors as it does on AWS", async () => {
  const prefix = unique("boto3");
  const script = new URL("boto3_client.py", import.meta.url).pathname;
  const settings = JSON.stringify({ url: url(), prefix, bucket, roleArn, ...userKeys });
  const python = setting("MODELFLEET_TEST_PYTHON");
  const { stdout } = await promisify(execFile)(python, [script, settings]);
  const arn = (kind: string, name: string) =>
    `arn:aws:sagemaker:${region}:${account}:${kind}/${name}`;
  const names = [0, 1, 2, 3, 4].map((index) => `${prefix}-${index}`);
  const year = new Date().getUTCFullYear();
  expect(JSON.parse(stdout)).toEqual({
    arns: names.map((name) => arn("training-job", name)),
    listed: [...names].reverse(),
    metric: 1.5,
    year,
    package: arn("model-package", `${prefix}-group/1`),
    approved: [1],
    account,
    assumed: `arn:aws:sts::${account}:assumed-role/modelfleet-execution/boto3`,
    expires: new Date(Date.now() + 3600_000).getUTCFullYear(),
    waited: expect.stringContaining("ValidationException") as string,
    in_use: {
      Code: "ResourceInUse",
      Message: expect.stringContaining("already exists") as string,
      status: 400,
    },
    not_found: {
      Code: "ValidationException",
      Message: "Requested resource not found.",
      status: 400,
    },
    bad_name: {
      Code: "ValidationException",
      Message: expect.stringContaining("Value 'my_job' at 'trainingJobName'") as string,
      status: 400,
    },
    runtime: {
      Code: "ValidationError",
      Message: `Endpoint nobody of account ${account} not found.`,
      status: 400,
    },
  });
});
