/** Policies of users and roles: who may invoke which model, and do what else. */
import {
  CreateTrainingJobCommand,
  DescribeEndpointCommand,
  DescribeModelCommand,
  ListTagsCommand,
  ListTrainingJobsCommand,
} from "@aws-sdk/client-sagemaker";
import { CloudWatchClient, ListMetricsCommand } from "@aws-sdk/client-cloudwatch";
import type { SageMakerClient } from "@aws-sdk/client-sagemaker";
import { AssumeRoleCommand } from "@aws-sdk/client-sts";
import { beforeAll, beforeEach, describe, expect, test } from "vitest";
import { startServer } from "../../local/sagemaker/server.js";
import { account, otherAccount, region, roleArn, runtimeClient, sagemakerClient } from "./cloud.js";
import { stsClient, useCloud, useServer, userKeys } from "./cloud.js";
import {
  anEndpoint,
  ask,
  aMultiModelContainer,
  createModel,
  onInstances,
} from "./hosting-models.js";
import { aTrainingJob, unique } from "./requests.js";

const cloud = useCloud(17660);
const url = useServer(cloud);
let client: SageMakerClient;
let model: string;
let endpoint: string;

beforeAll(async () => {
  client = sagemakerClient(url());
  const many = await aMultiModelContainer(cloud(), {
    "a/v1.tar.gz": "A",
    "b/v1.tar.gz": "B",
    "common/v1.tar.gz": "shared",
  });
  model = await createModel(client, { PrimaryContainer: many });
  endpoint = await anEndpoint(client, [onInstances(model)]);
});

const userArn = `arn:aws:iam::${account}:user/local`;
const endpointArn = () => `arn:aws:sagemaker:${region}:${account}:endpoint/${endpoint}`;

async function put(policies: Record<string, unknown>): Promise<Response> {
  const body = JSON.stringify({ policies });
  return fetch(`${url()}/_local/policies`, { method: "PUT", body });
}
beforeEach(async () => void (await put({ [userArn]: null, [roleArn]: null })));

const anything = { Statement: { Effect: "Allow", Action: "*", Resource: "*" } };

const tenantPolicy = (...prefixes: string[]) => ({
  Version: "2012-10-17",
  Statement: [
    {
      ...{ Effect: "Allow", Action: "sagemaker:InvokeEndpoint", Resource: endpointArn() },
      Condition: { StringLike: { "sagemaker:TargetModel": prefixes } },
    },
  ],
});

/** A role that may invoke what lies below the prefixes; it comes to be with its policy. */
async function aTenant(...prefixes: string[]): Promise<string> {
  const arn = `arn:aws:iam::${account}:role/${unique("tenant")}`;
  expect((await put({ [arn]: tenantPolicy(...prefixes) })).status).toBe(200);
  return arn;
}

async function assume(RoleArn: string, Policy?: object) {
  const command = new AssumeRoleCommand({
    ...{ RoleArn, RoleSessionName: "test" },
    ...(Policy && { Policy: JSON.stringify(Policy) }),
  });
  const { Credentials } = await stsClient(url()).send(command);
  return {
    accessKeyId: Credentials?.AccessKeyId ?? "",
    secretAccessKey: Credentials?.SecretAccessKey ?? "",
    sessionToken: Credentials?.SessionToken ?? "",
  };
}

const invoke = (keys: typeof userKeys, TargetModel?: string, name = endpoint) =>
  ask(runtimeClient(url(), keys), name, "1", TargetModel === undefined ? {} : { TargetModel });

describe("a tenant's role", () => {
  test("reaches its own and the shared models, and nobody else's", async () => {
    const role = await aTenant("a/*", "common/*");
    const keys = await assume(role);
    expect(await invoke(keys, "a/v1.tar.gz")).toBe("A:1");
    expect(await invoke(keys, "common/v1.tar.gz")).toBe("shared:1");
    const session = role.replace(":iam:", ":sts:").replace(":role/", ":assumed-role/");
    await expect(invoke(keys, "b/v1.tar.gz")).rejects.toMatchObject({
      name: "AccessDeniedException",
      message: `User: ${session}/test is not authorized to perform: sagemaker:InvokeEndpoint on resource: ${endpointArn()}`,
      $metadata: { httpStatusCode: 400 },
    });
    await expect(invoke(keys)).rejects.toMatchObject({ name: "AccessDeniedException" });
  });

  test.each([
    "a/../b/v1.tar.gz",
    "a/%2e%2e/b/v1.tar.gz",
    "a/%2E%2E%2Fb/v1.tar.gz",
    "a%2f..%2fb/v1.tar.gz",
    "a/..\\b\\v1.tar.gz",
    "a//../b/v1.tar.gz",
    "a/./../b/v1.tar.gz",
    "/a/../b/v1.tar.gz",
    "//b/v1.tar.gz",
    "/b/v1.tar.gz",
    "%62/v1.tar.gz",
    "A/v1.tar.gz",
    "a/*",
    "*/v1.tar.gz",
    "?/v1.tar.gz",
    "a/v1.tar.gz, b/v1.tar.gz",
    "b/v1.tar.gz?a/",
    "b/v1.tar.gz#a/",
    "\u00e1/v1.tar.gz",
    "a/%00/../../b/v1.tar.gz",
    "s3://bucket/b/v1.tar.gz",
  ])("gets nowhere with the name %j", async (name) => {
    const keys = await assume(await aTenant("a/*"));
    await expect(invoke(keys, name)).rejects.toMatchObject({
      name: expect.stringMatching(/^(AccessDeniedException|ValidationError)$/) as string,
    });
  });

  test("is not let in under the endpoint's name written otherwise", async () => {
    const keys = await assume(await aTenant("a/*"));
    await expect(invoke(keys, "a/v1.tar.gz", `${endpoint}x`)).rejects.toMatchObject({
      name: "AccessDeniedException",
    });
    for (const name of [`../endpoints/${endpoint}`, `${endpoint}/`, endpoint.toUpperCase()])
      await expect(invoke(keys, "b/v1.tar.gz", name)).rejects.toThrow();
  });

  test("does nothing else in the account", async () => {
    const role = await aTenant("a/*");
    const keys = await assume(role);
    const tenant = sagemakerClient(url(), keys);
    const denied = { name: "AccessDeniedException" };
    await expect(tenant.send(new ListTrainingJobsCommand())).rejects.toMatchObject({
      ...denied,
      message: expect.stringContaining("sagemaker:ListTrainingJobs on resource: *") as string,
    });
    const describeModel = new DescribeModelCommand({ ModelName: model });
    await expect(tenant.send(describeModel)).rejects.toMatchObject({
      message: expect.stringContaining(
        `sagemaker:DescribeModel on resource: arn:aws:sagemaker:${region}:${account}:model/${model}`,
      ) as string,
    });
    const tags = new ListTagsCommand({ ResourceArn: endpointArn() });
    await expect(tenant.send(tags)).rejects.toMatchObject(denied);
    const watch = new CloudWatchClient({ endpoint: url(), region, credentials: keys });
    await expect(watch.send(new ListMetricsCommand())).rejects.toMatchObject(denied);
    const other = new AssumeRoleCommand({ RoleArn: roleArn, RoleSessionName: "more" });
    await expect(stsClient(url(), keys).send(other)).rejects.toMatchObject({
      name: "AccessDenied",
    });
  });

  test("loses its credentials with the role", async () => {
    const role = await aTenant("a/*");
    const keys = await assume(role);
    await put({ [role]: null });
    await expect(invoke(keys, "a/v1.tar.gz")).rejects.toMatchObject({
      name: "UnrecognizedClientException",
    });
    await expect(assume(role)).rejects.toMatchObject({ name: "AccessDenied" });
  });
});

describe("a session policy", () => {
  test("limits a role that may do everything", async () => {
    const keys = await assume(roleArn, tenantPolicy("a/*"));
    expect(await invoke(keys, "a/v1.tar.gz")).toBe("A:1");
    await expect(invoke(keys, "b/v1.tar.gz")).rejects.toMatchObject({
      name: "AccessDeniedException",
    });
  });

  test("adds nothing to a role's own policy", async () => {
    const keys = await assume(await aTenant("a/*"), tenantPolicy("*"));
    await expect(invoke(keys, "b/v1.tar.gz")).rejects.toMatchObject({
      name: "AccessDeniedException",
    });
  });

  test("that is no policy is refused", async () => {
    await expect(assume(roleArn, { Statement: [] })).rejects.toMatchObject({
      name: "MalformedPolicyDocumentException",
      message: expect.stringContaining("Statement is empty") as string,
    });
  });
});

describe("a user's policy", () => {
  test("holds at once, for the control plane too", async () => {
    const Resource = endpointArn();
    await put({
      [userArn]: { Statement: { Effect: "Allow", Action: "sagemaker:Describe*", Resource } },
    });
    const described = await client.send(new DescribeEndpointCommand({ EndpointName: endpoint }));
    expect(described.EndpointStatus).toBe("InService");
    const describeModel = new DescribeModelCommand({ ModelName: model });
    await expect(client.send(describeModel)).rejects.toMatchObject({
      name: "AccessDeniedException",
    });
  });

  test("must allow a role to be passed", async () => {
    const allow = { Effect: "Allow", Action: "sagemaker:*", Resource: "*" };
    await put({ [userArn]: { Statement: allow } });
    const create = () => client.send(new CreateTrainingJobCommand(aTrainingJob()));
    await expect(create()).rejects.toMatchObject({
      name: "AccessDeniedException",
      message: expect.stringContaining(`iam:PassRole on resource: ${roleArn}`) as string,
    });
    const pass = { Effect: "Allow", Action: "iam:PassRole", Resource: roleArn };
    await put({ [userArn]: { Statement: [allow, pass] } });
    expect((await create()).TrainingJobArn).toContain("training-job/");
  });
});

describe("policies set at run time", () => {
  test("are kept over a restart", async () => {
    const role = await aTenant("a/*");
    const port = Number(new URL(url()).port) + 3; // One that the stack leaves free: Temporal's.
    const stateDir = `${cloud().config.stateDir}-successor`;
    const successor = await startServer({ ...cloud().config, port, stateDir });
    try {
      const { policies } = (await (await fetch(`${successor.url}/_local/policies`)).json()) as {
        policies: Record<string, unknown>;
      };
      expect(policies[role]).toEqual(tenantPolicy("a/*"));
    } finally {
      await successor.close();
    }
  });

  test.each([
    ["of nobody", { [`arn:aws:iam::${account}:user/nobody`]: anything }, /neither a user or/],
    [
      "of an account that is not there",
      { "arn:aws:iam::999999999999:role/x": anything },
      /neither a user or/,
    ],
    [
      "with a condition that would not be enforced",
      {
        [`arn:aws:iam::${otherAccount}:role/x`]: {
          Statement: {
            ...{ Effect: "Allow", Action: "*", Resource: "*" },
            Condition: { IpAddress: { "aws:SourceIp": "10.0.0.0/8" } },
          },
        },
      },
      /the policy of .*role\/x is refused: Statement\[0\]\.Condition uses the operator "IpAddress"/,
    ],
  ])("are refused %s, and nothing is set", async (_what, policies, message) => {
    const good = `arn:aws:iam::${account}:role/${unique("good")}`;
    const answer = await put({ [good]: tenantPolicy("a/*"), ...policies });
    expect(answer.status).toBe(400);
    expect(((await answer.json()) as { message: string }).message).toMatch(message);
    const { policies: current } = (await (await fetch(`${url()}/_local/policies`)).json()) as {
      policies: Record<string, unknown>;
    };
    expect(current).not.toHaveProperty([good]);
  });
});
