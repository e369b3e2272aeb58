/** DataProcessing of a transform job: what of each record the model sees, and what of both is kept. */
import { validationError } from "./errors.js";
import { isMembers } from "./json.js";
import { JsonPathError, parseJsonPath, select } from "./json-path.js";
import type { JsonPath } from "./json-path.js";
import { JobFailure } from "./job-failure.js";

export interface DataProcessing {
  readonly InputFilter?: string;
  readonly OutputFilter?: string;
  readonly JoinSource?: string;
}

/** Records of one request: as they were in the object, and as the model answered them. */
export interface RecordFilters {
  toModel(body: Buffer): Buffer;
  /** Throws JobFailure when the model did not answer record by record. */
  fromModel(body: Buffer, answer: Buffer): Buffer;
}

export interface RecordFormat {
  readonly contentType: string;
  /** The body of a request is one record, not lines of them. */
  readonly isWhole: boolean;
  /** What goes between the records of the output. */
  readonly separator: "" | "\n";
}

/** How a kind of record becomes a value that a path can select from, and text again. */
interface Codec {
  read(text: string): unknown;
  write(value: unknown): string;
  join(input: unknown, output: unknown): unknown;
}

/** Undefined when records pass as they are. Throws ValidationException for filters that cannot be. */
export function recordFilters(
  { InputFilter = "$", OutputFilter = "$", JoinSource = "None" }: DataProcessing,
  format: RecordFormat,
): RecordFilters | undefined {
  const joins = JoinSource === "Input";
  if (InputFilter === "$" && OutputFilter === "$" && !joins) return undefined;
  const codec = codecOf(format.contentType);
  const [input, output] = [
    pathOf("InputFilter", InputFilter),
    pathOf("OutputFilter", OutputFilter),
  ];
  const recordsOf = (body: Buffer): string[] =>
    format.isWhole && codec === json ? [body.toString("utf8")] : linesOf(body.toString("utf8"));
  const put = (records: readonly string[], separator: string): Buffer =>
    Buffer.from(records.map((record) => record + separator).join(""));

  return {
    toModel(body) {
      if (InputFilter === "$") return body;
      const records = recordsOf(body).map((text) => codec.write(pick(input, codec.read(text))));
      return put(records, format.isWhole && codec === json ? "" : "\n");
    },
    fromModel(body, answer) {
      const [inputs, outputs] = [recordsOf(body), recordsOf(answer)];
      if (inputs.length !== outputs.length)
        throw new JobFailure(
          `ClientError: the model answered ${outputs.length} records to a request with ${inputs.length}`,
        );
      const records = outputs.map((text, index) => {
        const value = codec.read(text);
        const joined = joins ? codec.join(codec.read(inputs[index] ?? ""), value) : value;
        return codec.write(pick(output, joined));
      });
      return put(records, format.separator);
    },
  };
}

function pathOf(member: string, text: string): JsonPath {
  try {
    return parseJsonPath(text);
  } catch (error) {
    if (error instanceof JsonPathError) throw validationError(`${member}: ${error.message}`);
    throw error;
  }
}

function pick(path: JsonPath, record: unknown): unknown {
  try {
    return select(path, record);
  } catch (error) {
    if (error instanceof JsonPathError) throw new JobFailure(`ClientError: ${error.message}`);
    throw error;
  }
}

function linesOf(text: string): string[] {
  const lines = text.split("\n");
  if (lines.at(-1) === "") lines.pop();
  return lines.map((line) => (line.endsWith("\r") ? line.slice(0, -1) : line));
}

function codecOf(contentType: string): Codec {
  const type = contentType.split(";")[0]?.trim().toLowerCase() ?? "";
  if (type === "text/csv") return csv;
  if (["application/json", "application/jsonlines", "application/x-jsonlines"].includes(type))
    return json;
  throw validationError(
    `DataProcessing takes records of ContentType text/csv, application/json or application/jsonlines, not ${type || "none"}.`,
  );
}

/** A field stays as it was written, quotes included, so that what is kept is kept unchanged. */
const csv: Codec = {
  read: csvFields,
  write: (value) => (Array.isArray(value) ? value.join(",") : String(value)),
  join: (input, output) => [input, output].flat(),
};

/** AWS: no field of a CSV holds a line break. */
function csvFields(line: string): string[] {
  const fields: string[] = [];
  let start = 0;
  let isQuoted = false;
  for (let at = 0; at < line.length; at++) {
    if (line[at] === '"') isQuoted = !isQuoted;
    if (line[at] !== "," || isQuoted) continue;
    fields.push(line.slice(start, at));
    start = at + 1;
  }
  fields.push(line.slice(start));
  return fields;
}

const json: Codec = {
  read: (text) => {
    try {
      return JSON.parse(text) as unknown;
    } catch {
      throw new JobFailure(`ClientError: a record is not valid JSON: ${text.slice(0, 100)}`);
    }
  },
  write: (value) => JSON.stringify(value),
  // AWS API, DataProcessing: a record that is no object becomes a member beside the answer.
  join: (input, output) =>
    isMembers(input)
      ? { ...input, SageMakerOutput: output }
      : { SageMakerInput: input, SageMakerOutput: output },
};
