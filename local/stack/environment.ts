/** What client, worker and AWS SDKs are told about a stack: the dotenv file `env` of the state folder. */
import { ACCOUNT, bucketPrefix, executionRole } from "./accounts.js";
import { requireStackFile, type StackFile } from "./stack-file.js";
import { stackFolder, type StackFolder, type StackPlace } from "./place.js";
import { stackPorts } from "./ports.js";
import { postgresUrl } from "./postgres.js";
import { writePrivateFile } from "./private-file.js";
import { TEMPORAL_NAMESPACE } from "./temporal.js";

export const REGION = "us-east-1";
export const BUCKET = bucketPrefix(ACCOUNT);

/** The settings of a stack that exists, running or not. */
export function stackEnvironment(place: StackPlace): Record<string, string> {
  return environmentOf(requireStackFile(stackFolder(place)));
}

export function environmentOf(stack: StackFile): Record<string, string> {
  const ports = stackPorts(stack.basePort);
  const sagemaker = `http://127.0.0.1:${ports.sagemaker}`;
  const postgres = { port: ports.postgres, password: stack.postgresPassword };
  return {
    AWS_REGION: REGION,
    AWS_ACCESS_KEY_ID: stack.userKeys.accessKeyId,
    AWS_SECRET_ACCESS_KEY: stack.userKeys.secretAccessKey,
    AWS_SESSION_TOKEN: "",
    AWS_ENDPOINT_URL_SAGEMAKER: sagemaker,
    AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME: sagemaker,
    AWS_ENDPOINT_URL_S3: `http://127.0.0.1:${ports.s3}`,
    AWS_ENDPOINT_URL_STS: sagemaker,
    AWS_ENDPOINT_URL_CLOUDWATCH: sagemaker,
    AWS_ENDPOINT_URL_IAM: sagemaker,
    TEMPORAL_ADDRESS: `127.0.0.1:${ports.temporal}`,
    TEMPORAL_NAMESPACE,
    MODELFLEET_TEMPORAL_UI: `http://127.0.0.1:${ports.temporalUi}`,
    MODELFLEET_LEDGER_URL: postgresUrl(postgres, "modelfleet"),
    MODELFLEET_BUCKET: BUCKET,
    MODELFLEET_ROLE_ARN: executionRole(ACCOUNT),
    // Jobs end within seconds here, and nobody bills the calls.
    MODELFLEET_WATCH_SECONDS: "0.5",
    MODELFLEET_MAX_TRAINING_JOBS: "50",
    WAREHOUSE_URL: postgresUrl(postgres, "warehouse"),
  };
}

export function writeEnvironmentFile(folder: StackFolder, stack: StackFile): void {
  const lines = Object.entries(environmentOf(stack)).map(([name, value]) => `${name}=${value}`);
  const head = `# The embedded stack "${stack.name}": written by \`modelfleet local up\`, read by modelfleet.`;
  writePrivateFile(folder.environmentFile, `${[head, ...lines].join("\n")}\n`);
}
