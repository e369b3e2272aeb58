/** `modelfleet invoke`: predictions of a customer's serving model, as an application would ask for them. */
import { readFile } from "node:fs/promises";
import { text } from "node:stream/consumers";
import type { Command } from "commander";
import { openConnections, type Connections } from "../connections.js";
import { ClientError, messageOf, UsageError } from "../errors.js";
import { ModelFailed } from "../invocation-error.js";
import {
  invokeModel,
  readPointer,
  readSampleRows,
  type ModelCall,
  type SampleRows,
} from "../invocation.js";
import { withExamples, withJson } from "./options.js";
import { printJson, printLines, safe, say } from "./print.js";
import type { Shell } from "./shell.js";

interface InvokeFlags {
  readonly body?: string;
  readonly file?: string;
  readonly sample?: true;
  readonly targetModel?: string;
  readonly json?: true;
}

export function configureInvoke(command: Command, shell: Shell): void {
  command
    .argument("<fleet>", "the fleet's name")
    .argument("[customer]", "the customer whose model is asked")
    .option("--body <csv>", "rows of features, in the order of the query's columns")
    .option("--file <path>", "read the rows from a file (default: standard input)")
    .option("--sample", "send held-out rows of the model's own cycle, and compare")
    .option("--target-model <key>", "call this artifact, whatever the pointer says");
  withJson(command);
  withExamples(command, [
    "modelfleet invoke flight-delays XNA --sample",
    "modelfleet invoke flight-delays XNA --body '12,1147,MQ,LGA,7,1,1,15,30'",
    "modelfleet invoke flight-delays XNA < rows.csv",
  ]);
  command.action(async (fleet: string, customer: string | undefined, flags: InvokeFlags) => {
    const connections = openConnections(shell.environment());
    try {
      await invoke(shell, connections, { fleet, customer }, flags);
    } finally {
      await connections.close();
    }
  });
}

async function invoke(
  shell: Shell,
  connections: Connections,
  { fleet, customer }: { fleet: string; customer: string | undefined },
  flags: InvokeFlags,
): Promise<void> {
  const target = await targetOf(connections, fleet, customer, flags);
  const sample =
    flags.sample && customer !== undefined
      ? await readSampleRows(connections, { fleet, customer })
      : undefined;
  const body = sample === undefined ? await bodyOf(shell, flags) : sample.rows.join("\n");
  if (body.trim() === "") throw await noRow(connections, fleet, customer);
  const answer = await invokeModel(connections, { fleet, ...target, body }).catch(
    (error: unknown) => {
      if (flags.json && error instanceof ModelFailed)
        printFailure(shell, { fleet, customer }, error);
      throw error;
    },
  );
  if (flags.json) {
    const offline = sample === undefined ? {} : { offlinePredictions: sample.predictions };
    return printJson(shell, { fleet, customer: customer ?? null, ...answer, ...offline });
  }
  printLines(
    shell,
    answer.predictions.map((value, row) => predictionLine(value, row, sample)),
  );
  const version = target.version === undefined ? "" : `version ${target.version}, `;
  const model = answer.targetModel === null ? "" : `${answer.targetModel} `;
  const said = `${version}${model}on ${answer.endpointName}, ${answer.latencyMs.toFixed(1)} ms`;
  say(shell, shell.progressColors.dim(safe(said)));
}

function printFailure(
  shell: Shell,
  { fleet, customer }: { fleet: string; customer: string | undefined },
  { endpointName, targetModel, message, status, said, logGroup }: ModelFailed,
): void {
  const failure = { message, status, said, logGroup };
  printJson(shell, { fleet, customer: customer ?? null, endpointName, targetModel, failure });
}

async function targetOf(
  connections: Connections,
  fleet: string,
  customer: string | undefined,
  flags: InvokeFlags,
): Promise<Pick<ModelCall, "endpointName" | "targetModel" | "version">> {
  if (flags.targetModel !== undefined) return { targetModel: flags.targetModel };
  if (customer !== undefined) return readPointer(connections, { fleet, customer });
  throw new UsageError("name the customer, or an artifact with --target-model");
}

async function bodyOf(shell: Shell, { body, file }: InvokeFlags): Promise<string> {
  if (body !== undefined) return body;
  if (file !== undefined) {
    return readFile(file, "utf8").catch((error: unknown) => {
      throw new ClientError(`${file} cannot be read: ${messageOf(error)}`);
    });
  }
  return shell.stdin.isTTY ? "" : text(shell.stdin);
}

/** Names the columns, since nobody knows their order by heart. */
async function noRow(
  connections: Connections,
  fleet: string,
  customer: string | undefined,
): Promise<UsageError> {
  if (customer === undefined) return new UsageError("there is no row to predict for", "--body CSV");
  const sample = await readSampleRows(connections, { fleet, customer });
  const row = sample.rows[0] ?? "";
  return new UsageError(
    `there is no row to predict for; a row is ${sample.columns.join(",")}`,
    `modelfleet invoke ${fleet} ${customer} --body '${row}', or --sample`,
  );
}

function predictionLine(value: number, row: number, sample: SampleRows | undefined): string {
  const offline = sample?.predictions[row];
  if (sample === undefined || offline === undefined) return String(value);
  return `${value}  (${offline} in training, for ${sample.rows[row] ?? ""})`;
}
