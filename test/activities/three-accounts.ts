/** Three AWS accounts on one stack: the home account 111111111111, and two that it promotes to. */
import { S3Client } from "@aws-sdk/client-s3";
import { SageMakerClient } from "@aws-sdk/client-sagemaker";
import { SageMakerRuntimeClient } from "@aws-sdk/client-sagemaker-runtime";
import { afterAll, beforeAll } from "vitest";
import type { StageClients } from "../../activities/stage-access.js";
import type { StageSpec } from "../../fleet/spec.schema.js";
import {
  bucketPrefix,
  executionRole,
  externalId,
  stageRole,
  type StackAccount,
} from "../../local/stack/accounts.js";
import { openStages, type OpenStages } from "../../worker/stage-clients.js";
import { startTestStack, type TestStack } from "../stack.js";
import { connectParts, type Parts } from "./parts.js";

export const QA: StackAccount = { name: "qa", id: "222222222222" };
export const PROD: StackAccount = { name: "prod", id: "333333333333" };

/** As a fleet file declares a stage in one of the stack's accounts. */
export const stageIn = (account: StackAccount): StageSpec => ({
  name: account.name,
  account: account.id,
  role: stageRole(account),
  externalId: externalId(account),
  bucket: bucketPrefix(account.id),
  executionRole: executionRole(account.id),
});

export interface ThreeAccounts {
  readonly parts: Parts;
  readonly stack: TestStack;
  /** As a worker has it; `renew` makes another one, which has assumed no role yet. */
  readonly stages: OpenStages;
  readonly renew: () => OpenStages;
}

/** Starts before the first test of the file and is gone after the last. */
export function useThreeAccounts(basePort: number): () => ThreeAccounts {
  let three: ThreeAccounts | undefined;
  /** The last that was opened is closed first. */
  const closers: (() => unknown)[] = [];
  beforeAll(async () => {
    const stack = await startTestStack({ basePort, accounts: [QA, PROD] });
    closers.unshift(() => stack.close());
    // A worker reads its settings from its environment, and the AWS SDK its endpoints.
    Object.assign(process.env, stack.environment);
    const parts = await connectParts(stack.environment);
    const { region } = parts;
    const home: StageClients = {
      ...{ account: parts.account, region, bucket: parts.bucket, roleArn: parts.roleArn },
      s3: new S3Client({ region }),
      sagemaker: new SageMakerClient({ region }),
      runtime: new SageMakerRuntimeClient({ region }),
    };
    const renew = () => {
      const stages = openStages({ home, ledger: parts.ledger, observe: () => undefined });
      closers.unshift(() => stages.close());
      return stages;
    };
    closers.unshift(async () => {
      for (const client of [home.s3, home.sagemaker, home.runtime]) client.destroy();
      await Promise.all([parts.ledger.end(), parts.warehouse.end()]);
      await parts.temporal.connection.close();
    });
    three = { parts, stack, stages: renew(), renew };
  });
  afterAll(async () => {
    for (const close of closers) await close();
  });
  return () => {
    if (three === undefined) throw new Error("the stack starts before the first test, not earlier");
    return three;
  };
}
