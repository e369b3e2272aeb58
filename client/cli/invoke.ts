/** `modelfleet invoke`: asks a customer's serving model, as an application would. */
import { readFile } from "node:fs/promises";
import { buffer } from "node:stream/consumers";
import type { Command } from "commander";
import { endpointName } from "../../fleet/names.js";
import { openConnections, type Connections } from "../connections.js";
import { ClientError, messageOf, UsageError } from "../errors.js";
import { ModelFailed } from "../invocation-error.js";
import {
  callModel,
  CSV,
  readPointer,
  readSampleRows,
  type ModelCall,
  type SampleRows,
} from "../invocation.js";
import { readAnswer, type Answer } from "./invoke-answer.js";
import { findStage } from "../served-models.js";
import { withExamples, withJson } from "./options.js";
import { printJson, printLines, safe, say } from "./print.js";
import type { Shell } from "./shell.js";

interface InvokeFlags {
  readonly body?: string;
  readonly bodyFile?: string;
  readonly contentType?: string;
  readonly accept?: string;
  readonly sample?: true;
  readonly targetModel?: string;
  readonly stage?: string;
  readonly json?: true;
}

export function configureInvoke(command: Command, shell: Shell): void {
  command
    .argument("<fleet>", "the fleet's name")
    .argument("[customer]", "the customer whose model is asked")
    .option("--body <text>", "rows of features in the order of the query's columns, or JSON")
    .option("--body-file <path>", "send a file as it is (default: standard input)")
    .option(
      "--content-type <type>",
      "what the body is (default: application/json when it begins with { or [, else text/csv)",
    )
    .option("--accept <type>", "what the answer is to be (default: as the body, if CSV or JSON)")
    .option("--sample", "send held-out rows of the model's own cycle, and compare")
    .option("--target-model <key>", "call this artifact, whatever the pointer says")
    .option("--stage <name>", "the stage (default: the newest cycle's last)");
  withJson(command);
  withExamples(command, [
    "modelfleet invoke flight-delays XNA --sample",
    "modelfleet invoke flight-delays XNA --body '12,1147,MQ,LGA,7,1,1,15,30'",
    "modelfleet invoke flight-delays XNA < rows.csv",
    "modelfleet invoke energy 7 --body '{\"period\": 7}'",
    "modelfleet invoke flight-delays XNA --sample --stage qa",
  ]);
  command.action(async (fleet: string, customer: string | undefined, flags: InvokeFlags) => {
    checkFlags(flags);
    const connections = openConnections(shell.environment());
    try {
      await invoke(shell, connections, { fleet, customer }, flags);
    } finally {
      await connections.close();
    }
  });
}

/** Flags of which one would be passed over without a word. */
function checkFlags({ body, bodyFile, sample, contentType }: InvokeFlags): void {
  const bodies = [
    ...(body === undefined ? [] : ["--body"]),
    ...(bodyFile === undefined ? [] : ["--body-file"]),
    ...(sample === undefined ? [] : ["--sample"]),
  ];
  if (bodies.length > 1)
    throw new UsageError(`${bodies.join(" and ")} are two bodies`, "leave out all but one");
  if (sample && contentType !== undefined)
    throw new UsageError("held-out rows are text/csv", "leave out --content-type");
}

async function invoke(
  shell: Shell,
  connections: Connections,
  { fleet, customer }: { fleet: string; customer: string | undefined },
  flags: InvokeFlags,
): Promise<void> {
  const where =
    flags.stage === undefined
      ? {}
      : { stage: await findStage(connections, { fleet, stage: flags.stage }) };
  const target = await targetOf(connections, { fleet, customer, ...where }, flags);
  const sample =
    flags.sample && customer !== undefined
      ? await readSampleRows(connections, { fleet, customer, ...where })
      : undefined;
  const body =
    sample === undefined ? await bodyOf(shell, flags) : Buffer.from(sample.rows.join("\n"));
  if (isBlank(body)) throw await noRow(connections, fleet, customer);
  const call = { fleet, ...target, body, ...typesOf(body, flags) };
  const answered = await callModel(connections, call).catch((error: unknown) => {
    if (flags.json && error instanceof ModelFailed) printFailure(shell, { fleet, customer }, error);
    throw error;
  });
  const { body: bytes, contentType, ...told } = answered;
  const answer = readAnswer(bytes, contentType);
  if (flags.json) {
    const offline = sample === undefined ? {} : { offlinePredictions: sample.predictions };
    const said = documentOf(answer, contentType);
    return printJson(shell, { fleet, customer: customer ?? null, ...told, ...said, ...offline });
  }
  printAnswer(shell, answer, sample);
  const version = target.version === undefined ? "" : `version ${target.version}, `;
  const model = told.targetModel === null ? "" : `${told.targetModel} `;
  const said = `${version}${model}on ${told.endpointName}, ${told.latencyMs.toFixed(1)} ms`;
  say(shell, shell.progressColors.dim(safe(said)));
}

function printAnswer(shell: Shell, answer: Answer, sample: SampleRows | undefined): void {
  switch (answer.kind) {
    case "predictions":
      return printLines(
        shell,
        answer.predictions.map((value, row) => predictionLine(value, row, sample)),
      );
    case "json":
      return printJson(shell, answer.value);
    case "text":
      return void shell.stdout.write(answer.text.endsWith("\n") ? answer.text : `${answer.text}\n`);
    case "bytes":
      return void shell.stdout.write(answer.bytes);
  }
}

/** What one JSON document can hold of it. */
function documentOf(answer: Answer, contentType: string) {
  switch (answer.kind) {
    case "predictions":
      return { contentType, predictions: answer.predictions };
    case "json":
      return { contentType, answer: answer.value };
    case "text":
      return { contentType, answer: answer.text };
    case "bytes":
      throw new ClientError(
        `the answer is ${contentType}, ${answer.bytes.length} bytes that are no text`,
        "leave out --json and send standard output to a file",
      );
  }
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
  { fleet, customer, stage }: { fleet: string; customer: string | undefined; stage?: string },
  { targetModel }: InvokeFlags,
): Promise<Pick<ModelCall, "stage" | "endpointName" | "targetModel" | "version">> {
  const where = stage === undefined ? {} : { stage };
  if (customer === undefined) {
    if (targetModel === undefined)
      throw new UsageError("name the customer, or an artifact with --target-model");
    return stage === undefined
      ? { targetModel }
      : { targetModel, stage, endpointName: endpointName(fleet, stage) };
  }
  const pointer = await readPointer(connections, { fleet, customer, ...where });
  // On the customer's endpoint: a pipeline has one for each generation.
  const { stage: at, endpointName: endpoint } = pointer;
  return targetModel === undefined ? pointer : { stage: at, endpointName: endpoint, targetModel };
}

async function bodyOf(shell: Shell, { body, bodyFile }: InvokeFlags): Promise<Buffer> {
  if (body !== undefined) return Buffer.from(body);
  if (bodyFile !== undefined) {
    return readFile(bodyFile).catch((error: unknown) => {
      throw new ClientError(`${bodyFile} cannot be read: ${messageOf(error)}`);
    });
  }
  return shell.stdin.isTTY ? Buffer.alloc(0) : buffer(shell.stdin);
}

const isBlank = (body: Buffer): boolean => body.every((byte) => [9, 10, 13, 32].includes(byte));

const JSON_TYPE = "application/json";

function typesOf(
  body: Buffer,
  { contentType: named, accept }: InvokeFlags,
): { contentType: string; accept: string | undefined } {
  const looksLikeJson = /^\s*[{[]/.test(body.toString("latin1", 0, 64));
  const contentType = named ?? (looksLikeJson ? JSON_TYPE : CSV);
  const same = [CSV, JSON_TYPE].includes(contentType) ? contentType : undefined;
  return { contentType, accept: accept ?? same };
}

/** Names the columns, since nobody knows their order by heart. */
async function noRow(
  connections: Connections,
  fleet: string,
  customer: string | undefined,
): Promise<UsageError> {
  if (customer === undefined) return new UsageError("there is nothing to send", "--body CSV");
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
