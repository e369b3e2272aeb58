/** Roles of customers' applications, and what they get when they call a model. */
import { InvokeEndpointCommand, SageMakerRuntimeClient } from "@aws-sdk/client-sagemaker-runtime";
import { AssumeRoleCommand, STSClient } from "@aws-sdk/client-sts";
import type { TestStack } from "../stack.js";

export interface Tenant {
  /** 200, or the name of the error. */
  readonly call: (o: {
    readonly endpointName: string;
    readonly targetModel?: string;
    readonly body: string;
  }) => Promise<unknown>;
}

/** A role with that policy, as JSON, and nothing else; assumed by the stack's user. */
export async function aTenant(stack: TestStack, name: string, policy: string): Promise<Tenant> {
  const { environment } = stack;
  const sagemaker = environment.AWS_ENDPOINT_URL_SAGEMAKER ?? "";
  const [, account = ""] = /::(\d+):/.exec(environment.MODELFLEET_ROLE_ARN ?? "") ?? [];
  const RoleArn = `arn:aws:iam::${account}:role/${name}`;
  const put = await fetch(`${sagemaker}/_local/policies`, {
    method: "PUT",
    body: JSON.stringify({ policies: { [RoleArn]: JSON.parse(policy) as unknown } }),
  });
  if (!put.ok) throw new Error(`the policy was refused: ${await put.text()}`);
  const sts = new STSClient({
    region: environment.AWS_REGION ?? "",
    endpoint: environment.AWS_ENDPOINT_URL_STS ?? "",
    credentials: {
      accessKeyId: environment.AWS_ACCESS_KEY_ID ?? "",
      secretAccessKey: environment.AWS_SECRET_ACCESS_KEY ?? "",
    },
  });
  const { Credentials } = await sts.send(
    new AssumeRoleCommand({ RoleArn, RoleSessionName: "application" }),
  );
  const runtime = new SageMakerRuntimeClient({
    region: environment.AWS_REGION ?? "",
    endpoint: sagemaker,
    maxAttempts: 1,
    credentials: {
      accessKeyId: Credentials?.AccessKeyId ?? "",
      secretAccessKey: Credentials?.SecretAccessKey ?? "",
      sessionToken: Credentials?.SessionToken ?? "",
    },
  });
  return {
    call: async ({ endpointName: EndpointName, targetModel: TargetModel, body: Body }) => {
      const call = { EndpointName, ContentType: "text/csv", Accept: "text/csv", Body };
      const command = new InvokeEndpointCommand({ ...call, ...(TargetModel && { TargetModel }) });
      try {
        return (await runtime.send(command)).$metadata.httpStatusCode;
      } catch (error) {
        return error instanceof Error ? error.name : error;
      }
    },
  };
}
