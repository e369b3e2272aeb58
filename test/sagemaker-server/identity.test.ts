/** Who is asking: signatures, accounts, roles and their temporary credentials. */
import {
  CreateModelPackageCommand,
  CreateModelPackageGroupCommand,
  DescribeModelPackageCommand,
  DescribeModelPackageGroupCommand,
  ListTrainingJobsCommand,
  PutModelPackageGroupPolicyCommand,
} from "@aws-sdk/client-sagemaker";
import { InvokeEndpointCommand } from "@aws-sdk/client-sagemaker-runtime";
import { AssumeRoleCommand, GetCallerIdentityCommand } from "@aws-sdk/client-sts";
import pg from "pg";
import { describe, expect, test } from "vitest";
import { account, otherAccount, otherKeys, roleArn, runtimeClient } from "./cloud.js";
import { sagemakerClient, stsClient, useCloud, useServer, userKeys } from "./cloud.js";
import { aModelPackage, unique } from "./requests.js";

const cloud = useCloud(17448);
const url = useServer(cloud);

const list = (keys: typeof userKeys) =>
  sagemakerClient(url(), keys).send(new ListTrainingJobsCommand());

async function assume(RoleArn = roleArn, keys = userKeys) {
  const command = new AssumeRoleCommand({ RoleArn, RoleSessionName: "test" });
  const { Credentials } = await stsClient(url(), keys).send(command);
  return {
    accessKeyId: Credentials?.AccessKeyId ?? "",
    secretAccessKey: Credentials?.SecretAccessKey ?? "",
    sessionToken: Credentials?.SessionToken ?? "",
    expiresAt: Credentials?.Expiration,
  };
}

describe("a request is refused", () => {
  test("when its access key is nobody's", async () => {
    await expect(list({ ...userKeys, accessKeyId: "AKIANOBODY" })).rejects.toMatchObject({
      name: "UnrecognizedClientException",
      message: "The security token included in the request is invalid.",
    });
  });

  test("when it was signed with another secret", async () => {
    await expect(list({ ...userKeys, secretAccessKey: "wrong" })).rejects.toMatchObject({
      name: "InvalidSignatureException",
    });
  });

  test("when it is not signed at all", async () => {
    const answer = await fetch(url(), {
      method: "POST",
      headers: { "x-amz-target": "SageMaker.ListTrainingJobs" },
      body: "{}",
    });
    expect(answer.status).toBe(400);
    expect(answer.headers.get("x-amzn-errortype")).toBe("MissingAuthenticationTokenException");
    expect(answer.headers.get("x-amzn-requestid")).toMatch(/^[0-9a-f-]{36}$/);
  });

  test("when its body was changed on the way", async () => {
    const client = sagemakerClient(url());
    client.middlewareStack.add(
      (next) => (args) => {
        Object.assign(args.request as object, { body: "[]" });
        return next(args);
      },
      { step: "finalizeRequest", priority: "low" },
    );
    await expect(client.send(new ListTrainingJobsCommand())).rejects.toMatchObject({
      name: "InvalidSignatureException",
    });
  });

  test("when its clock is an hour off", async () => {
    const client = sagemakerClient(url());
    client.config.systemClockOffset = -60 * 60 * 1000;
    await expect(client.send(new ListTrainingJobsCommand())).rejects.toMatchObject({
      name: "InvalidSignatureException",
      message: expect.stringContaining("Signature expired") as string,
    });
  });

  test("by the runtime too", async () => {
    const client = runtimeClient(url(), { ...userKeys, secretAccessKey: "wrong" });
    const command = new InvokeEndpointCommand({ EndpointName: "e", Body: Buffer.from("1") });
    await expect(client.send(command)).rejects.toMatchObject({ name: "InvalidSignatureException" });
  });
});

describe("STS", () => {
  test("says who a user is", async () => {
    const identity = await stsClient(url()).send(new GetCallerIdentityCommand());
    expect(identity).toMatchObject({
      Account: account,
      Arn: `arn:aws:iam::${account}:user/local`,
      UserId: expect.stringMatching(/^AIDA/) as string,
    });
  });

  test("hands out credentials of a role, which act in the role's account", async () => {
    const keys = await assume(`arn:aws:iam::${otherAccount}:role/reader`);
    expect(keys.accessKeyId).toMatch(/^ASIA/);
    const identity = await stsClient(url(), keys).send(new GetCallerIdentityCommand());
    expect(identity).toMatchObject({
      Account: otherAccount,
      Arn: `arn:aws:sts::${otherAccount}:assumed-role/reader/test`,
    });
    expect((await list(keys)).TrainingJobSummaries).toEqual([]);
  });

  test("refuses a role that is not there", async () => {
    await expect(assume(`arn:aws:iam::${account}:role/nobody`)).rejects.toMatchObject({
      name: "AccessDenied",
      $metadata: { httpStatusCode: 403 },
    });
  });

  test("refuses a session that is shorter than the model allows", async () => {
    const command = new AssumeRoleCommand({
      ...{ RoleArn: roleArn, RoleSessionName: "test", DurationSeconds: 60 },
    });
    await expect(stsClient(url()).send(command)).rejects.toMatchObject({
      name: "ValidationError",
      message: expect.stringContaining("durationSeconds") as string,
    });
  });

  test("has its own names for wrong credentials", async () => {
    const wrong = stsClient(url(), { ...userKeys, secretAccessKey: "wrong" });
    await expect(wrong.send(new GetCallerIdentityCommand())).rejects.toMatchObject({
      name: "SignatureDoesNotMatch",
    });
    const nobody = stsClient(url(), { ...userKeys, accessKeyId: "AKIANOBODY" });
    await expect(nobody.send(new GetCallerIdentityCommand())).rejects.toMatchObject({
      name: "InvalidClientTokenId",
    });
  });

  test("temporary credentials end", async () => {
    const keys = await assume();
    const db = new pg.Client({ connectionString: cloud().config.database });
    await db.connect();
    await db.query("update sagemaker.sessions set expires_at = 0 where access_key_id = $1", [
      keys.accessKeyId,
    ]);
    await db.end();
    await expect(list(keys)).rejects.toMatchObject({ name: "ExpiredTokenException" });
  });

  test("temporary credentials are nothing without their token", async () => {
    const { accessKeyId, secretAccessKey } = await assume();
    await expect(list({ accessKeyId, secretAccessKey })).rejects.toMatchObject({
      name: "UnrecognizedClientException",
    });
  });
});

describe("a model package group", () => {
  async function aGroup(): Promise<{ name: string; arn: string }> {
    const name = unique("group");
    const command = new CreateModelPackageGroupCommand({ ModelPackageGroupName: name });
    const { ModelPackageGroupArn: arn = "" } = await sagemakerClient(url()).send(command);
    return { name, arn };
  }

  const allow = (name: string, Action: string[], Resource: string) =>
    sagemakerClient(url()).send(
      new PutModelPackageGroupPolicyCommand({
        ModelPackageGroupName: name,
        ResourcePolicy: JSON.stringify({
          Version: "2012-10-17",
          Statement: [
            {
              ...{ Sid: "Register", Effect: "Allow", Action, Resource },
              Principal: { AWS: `arn:aws:iam::${otherAccount}:root` },
            },
          ],
        }),
      }),
    );

  test("is closed to other accounts until its policy opens it", async () => {
    const { name, arn } = await aGroup();
    const other = sagemakerClient(url(), otherKeys);
    const register = () => other.send(new CreateModelPackageCommand(aModelPackage(arn)));
    await expect(register()).rejects.toMatchObject({
      name: "AccessDeniedException",
      message: expect.stringContaining("sagemaker:CreateModelPackage") as string,
    });
    const packages = arn.replace("model-package-group", "model-package");
    await allow(name, ["sagemaker:CreateModelPackage"], `${packages}/*`);
    const { ModelPackageArn = "" } = await register();
    expect(ModelPackageArn).toBe(`${packages}/1`);
    const read = { ModelPackageName: ModelPackageArn };
    expect(await sagemakerClient(url()).send(new DescribeModelPackageCommand(read))).toMatchObject({
      ModelPackageGroupName: name,
      ModelPackageVersion: 1,
    });
    await expect(other.send(new DescribeModelPackageCommand(read))).rejects.toMatchObject({
      name: "AccessDeniedException",
    });
  });

  test("that is not there looks like one that is closed", async () => {
    const arn = `arn:aws:sagemaker:us-east-1:${account}:model-package-group/${unique("no")}`;
    const describeGroup = new DescribeModelPackageGroupCommand({ ModelPackageGroupName: arn });
    const other = sagemakerClient(url(), otherKeys);
    await expect(other.send(describeGroup)).rejects.toMatchObject({
      name: "AccessDeniedException",
    });
    await expect(sagemakerClient(url()).send(describeGroup)).rejects.toMatchObject({
      name: "ValidationException",
      message: expect.stringContaining("does not exist.") as string,
    });
  });
});
