/** Tells where a stack that is up can be reached. */
import { relative } from "node:path";
import { bucketPrefix, executionRole, externalId, stageRole } from "./stack/accounts.js";
import type { StackAccount } from "./stack/accounts.js";
import type { LocalShell } from "./shell.js";
import type { RunningStack } from "./stack/start.js";

export function printUp(
  shell: LocalShell,
  stack: RunningStack,
  how: { readonly json: boolean; readonly seconds: number },
): void {
  const { environment } = stack;
  const addresses = {
    temporalUi: environment.MODELFLEET_TEMPORAL_UI,
    temporal: environment.TEMPORAL_ADDRESS,
    sagemaker: environment.AWS_ENDPOINT_URL_SAGEMAKER,
    s3: environment.AWS_ENDPOINT_URL_S3,
    postgres: `127.0.0.1:${stack.basePort + 1}`,
  };
  if (how.json) {
    const { name, state, basePort, started } = stack;
    const accounts = stack.accounts.map(accountOf);
    const document = { name, state, basePort, started, seconds: how.seconds, addresses, accounts };
    shell.stdout.write(`${JSON.stringify(document, null, 2)}\n`);
    return;
  }
  const settings = relative(shell.directory, `${stack.state}/env`);
  const rows: (readonly [string, string | undefined])[] = [
    ["Temporal web UI", addresses.temporalUi],
    ["SageMaker server", addresses.sagemaker],
    ["S3", `${addresses.s3} (bucket ${environment.MODELFLEET_BUCKET})`],
    ["Postgres", `${addresses.postgres} (databases warehouse, modelfleet, sagemaker)`],
    ["Settings and keys", settings],
    ...stack.accounts
      .map(accountOf)
      .map(
        ({ name, account, role, externalId }) =>
          [`Account ${name}`, `${account} (role ${role}, external id ${externalId})`] as const,
      ),
    ["Stop it", `modelfleet local down${stack.flags}`],
  ];
  const state = stack.started.length === 0 ? "is up already" : "is up";
  const lines = rows.map(([title, text]) => `  ${shell.colors.dim(title.padEnd(18))} ${text}`);
  const head = `The stack "${stack.name}" ${state} (${how.seconds.toFixed(1)} s).`;
  shell.stdout.write(`${[head, ...lines].join("\n")}\n`);
}

/** As a stage of a fleet file names it. */
const accountOf = (account: StackAccount) => ({
  name: account.name,
  account: account.id,
  role: stageRole(account),
  externalId: externalId(account),
  executionRole: executionRole(account.id),
  bucket: bucketPrefix(account.id),
});
