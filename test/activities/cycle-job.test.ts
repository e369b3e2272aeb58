/** Jobs that work for a whole cycle are stopped with it, of whatever kind they are. */
import {
  CreateModelCommand,
  CreateProcessingJobCommand,
  CreateTrainingJobCommand,
  CreateTransformJobCommand,
  DescribeProcessingJobCommand,
  DescribeTrainingJobCommand,
  DescribeTransformJobCommand,
} from "@aws-sdk/client-sagemaker";
import { PutObjectCommand } from "@aws-sdk/client-s3";
import { expect, test } from "vitest";
import { createCycleJobActivities } from "../../activities/cycle-job.js";
import { createProcessingActivities } from "../../activities/processing.js";
import { createTransformActivities } from "../../activities/transform.js";
import { CYCLE_KEY } from "../../fleet/names.js";
import { tarGz } from "../hosting/artifacts.js";
import {
  aModel,
  aProcessingJob,
  aTrainingJob,
  aTransformJob,
  sklearnImage,
} from "../sagemaker-server/requests.js";
import { aFleet, openCycle } from "./a-fleet.js";
import { run, useParts } from "./parts.js";

const parts = useParts(20360);
const WAITS = "import time; time.sleep(600)";

async function upload(key: string, body: string | Buffer): Promise<string> {
  const { s3, bucket } = parts();
  await s3.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: body }));
  return `s3://${bucket}/${key}`;
}

async function startProcessing(): Promise<string> {
  const AppSpecification = {
    ImageUri: sklearnImage,
    ContainerEntrypoint: ["python3", "-c", WAITS],
  };
  const ProcessingJobName = "mf-stopped-processing";
  const request = aProcessingJob({ AppSpecification, ProcessingJobName });
  await parts().sagemaker.send(new CreateProcessingJobCommand(request));
  return request.ProcessingJobName;
}

/** It computes nothing, and ends at once. */
async function startTraining(): Promise<string> {
  const TrainingJobName = "mf-stopped-training";
  await parts().sagemaker.send(new CreateTrainingJobCommand(aTrainingJob({ TrainingJobName })));
  return TrainingJobName;
}

async function startTransform(): Promise<string> {
  const code = `def model_fn(folder): pass\ndef transform_fn(*_): ${WAITS}\n`;
  const archive = await tarGz({ "code/inference.py": code });
  const ModelDataUrl = await upload("waits/model.tar.gz", archive);
  const model = aModel({ PrimaryContainer: { Image: sklearnImage, ModelDataUrl } });
  await parts().sagemaker.send(new CreateModelCommand(model));
  const input = await upload("waits/rows/1.csv", "1\n");
  const places = { input, output: `s3://${parts().bucket}/waits/out/` };
  const TransformJobName = "mf-stopped-transform";
  const request = aTransformJob({ model: model.ModelName ?? "", ...places }, { TransformJobName });
  await parts().sagemaker.send(new CreateTransformJobCommand(request));
  return request.TransformJobName;
}

test("a cycle's jobs of every kind are stopped and seen to end, and what has ended or was never made is no error", async () => {
  const { ledger, sagemaker } = parts();
  const cycle = await openCycle(parts(), aFleet({ name: "stopped" }));
  const [processing, training, transform] = await Promise.all([
    startProcessing(),
    startTraining(),
    startTransform(),
  ]);
  const jobs = [
    ["processing", processing, "created"],
    ["training", training, "created"],
    ["transform", transform, "created"],
    ["transform", "mf-stopped-admitted", "admitted"],
  ];
  for (const [kind, name, state] of jobs)
    await ledger.query(
      `insert into jobs (job_name, account, region, kind, fleet, cycle, customer_key, round, request_hash, request,
                         workflow_id, state)
       values ($1, $2, $3, $4, $5, $6, $7, 0, 'h', '{}', 'w', $8)`,
      [name, parts().account, parts().region, kind, cycle.fleet, cycle.cycle, CYCLE_KEY, state],
    );
  const statuses = async () => [
    (await sagemaker.send(new DescribeProcessingJobCommand({ ProcessingJobName: processing })))
      .ProcessingJobStatus,
    (await sagemaker.send(new DescribeTrainingJobCommand({ TrainingJobName: training })))
      .TrainingJobStatus,
    (await sagemaker.send(new DescribeTransformJobCommand({ TransformJobName: transform })))
      .TransformJobStatus,
  ];

  await run(createCycleJobActivities(parts()).stopCycleJobs, cycle);
  await expect.poll(statuses, { timeout: 60_000 }).toEqual(["Stopped", "Completed", "Stopped"]);
  const { rows } = await ledger.query("select from jobs where fleet = $1", [cycle.fleet]);
  expect(rows).toHaveLength(3);
  await run(createCycleJobActivities(parts()).stopCycleJobs, cycle);

  const waiting = { ...parts(), watchSeconds: 1 };
  const { findEndedTransformJob } = createTransformActivities(waiting);
  const { findEndedProcessingJob } = createProcessingActivities(waiting);
  const stopped = { status: "Stopped" };
  expect(await run(findEndedTransformJob, { jobName: transform })).toMatchObject(stopped);
  expect(await run(findEndedProcessingJob, { jobName: processing })).toMatchObject(stopped);
});
