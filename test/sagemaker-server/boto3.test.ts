/** The server as boto3 sees it: creations, waiters, paginators, errors. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { CreateModelCommand } from "@aws-sdk/client-sagemaker";
import { expect, test } from "vitest";
import { tarGz } from "../hosting/artifacts.js";
import {
  account,
  bucket,
  putObject,
  readObject,
  region,
  roleArn,
  sagemakerClient,
  setting,
  useCloud,
  useServer,
  userKeys,
} from "./cloud.js";
import { aModel, sklearnImage, unique } from "./requests.js";

const cloud = useCloud(17484);
const url = useServer(cloud);

async function createModel(): Promise<string> {
  const inference =
    "def model_fn(d): return 0\ndef transform_fn(m, rows, sent, wanted): return rows";
  const archive = await tarGz({ "code/inference.py": inference });
  const ModelDataUrl = await putObject(cloud(), `${unique("models")}/model.tar.gz`, archive);
  const model = aModel({ PrimaryContainer: { Image: sklearnImage, ModelDataUrl } });
  await sagemakerClient(url()).send(new CreateModelCommand(model));
  return model.ModelName ?? "";
}

test("boto3 creates, waits, pages and reads errors as it does on AWS", async () => {
  const prefix = unique("boto3");
  const script = new URL("boto3_client.py", import.meta.url).pathname;
  const input = await putObject(cloud(), `${prefix}/in/rows.csv`, "1\n2\n");
  const output = `s3://${bucket}/${prefix}/out`;
  const model = await createModel();
  const places = { url: url(), prefix, bucket, roleArn, model, input, output };
  const settings = JSON.stringify({ ...places, ...userKeys });
  const python = setting("MODELFLEET_TEST_PYTHON");
  const { stdout } = await promisify(execFile)(python, [script, settings]);
  const arn = (kind: string, name: string) =>
    `arn:aws:sagemaker:${region}:${account}:${kind}/${name}`;
  const names = [0, 1, 2, 3, 4].map((index) => `${prefix}-${index}`);
  const year = new Date().getUTCFullYear();
  expect(JSON.parse(stdout)).toEqual({
    arns: names.map((name) => arn("training-job", name)),
    listed: [...names].reverse(),
    jobs: {
      processing: ["Completed"],
      transform: ["Completed"],
      unknown: {
        Code: "ValidationException",
        Message: "Could not find requested job with name: nobody",
        status: 400,
      },
      not_stopped: {
        Code: "ValidationException",
        Message: "The request was rejected because the processing job is in status Completed.",
        status: 400,
      },
    },
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
  const out = await readObject(cloud(), `${prefix}/out/rows.csv.out`);
  expect(out.toString()).toBe("1\n2\n");
});
