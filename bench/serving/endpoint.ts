/** A multi-model endpoint on the stack, made with plain AWS calls as modelfleet's activities make theirs. */
import { PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import {
  CreateEndpointCommand,
  CreateEndpointConfigCommand,
  CreateModelCommand,
  SageMakerClient,
  waitUntilEndpointInService,
} from "@aws-sdk/client-sagemaker";
import { InvokeEndpointCommand, SageMakerRuntimeClient } from "@aws-sdk/client-sagemaker-runtime";
import { readSourceArchive } from "../../client/source-archive.js";
import { inFlight } from "../in-flight.mjs";
import { required, type BenchStack } from "../stack.js";
import { SCRIPTS, type ServingModels } from "./models.js";

const NAME = "bench-serving";
const IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:3.0-5";
const UPLOADS_AT_A_TIME = 16;

export type Predict = (model: string, row: string) => Promise<string>;

export async function deployEndpoint(
  { environment }: BenchStack,
  models: ServingModels,
): Promise<Predict> {
  const bucket = required(environment, "MODELFLEET_BUCKET");
  const roleArn = required(environment, "MODELFLEET_ROLE_ARN");
  const s3 = new S3Client({ forcePathStyle: true });
  const put = (Key: string, Body: Buffer) =>
    s3.send(new PutObjectCommand({ Bucket: bucket, Key, Body }));
  const code = await (await readSourceArchive(SCRIPTS)).bytes();
  await put("bench/sourcedir.tar.gz", code);
  const artifacts = [...models.artifacts];
  await inFlight({ count: artifacts.length, limit: UPLOADS_AT_A_TIME }, async (number) => {
    const [name, bytes] = artifacts[number] ?? [];
    if (name !== undefined && bytes !== undefined) await put(`bench/models/${name}.tar.gz`, bytes);
  });
  await createEndpoint(`s3://${bucket}/bench`, roleArn);
  return invoker();
}

async function createEndpoint(prefix: string, roleArn: string): Promise<void> {
  const sagemaker = new SageMakerClient({});
  await sagemaker.send(
    new CreateModelCommand({
      ModelName: NAME,
      ExecutionRoleArn: roleArn,
      PrimaryContainer: {
        Image: IMAGE,
        Mode: "MultiModel",
        ModelDataUrl: `${prefix}/models/`,
        Environment: {
          SAGEMAKER_PROGRAM: "inference.py",
          SAGEMAKER_SUBMIT_DIRECTORY: `${prefix}/sourcedir.tar.gz`,
        },
      },
    }),
  );
  await sagemaker.send(
    new CreateEndpointConfigCommand({
      EndpointConfigName: NAME,
      ProductionVariants: [
        {
          VariantName: "all",
          ModelName: NAME,
          InstanceType: "ml.m5.xlarge",
          InitialInstanceCount: 1,
        },
      ],
    }),
  );
  await sagemaker.send(new CreateEndpointCommand({ EndpointName: NAME, EndpointConfigName: NAME }));
  await waitUntilEndpointInService(
    { client: sagemaker, maxWaitTime: 120, minDelay: 1, maxDelay: 1 },
    { EndpointName: NAME },
  );
}

function invoker(): Predict {
  const runtime = new SageMakerRuntimeClient({});
  return async (model, row) => {
    const { Body } = await runtime.send(
      new InvokeEndpointCommand({
        EndpointName: NAME,
        TargetModel: `${model}.tar.gz`,
        ContentType: "text/csv",
        Accept: "text/csv",
        Body: Buffer.from(row),
      }),
    );
    return Body === undefined ? "" : Buffer.from(Body).toString("utf8").trim();
  };
}
