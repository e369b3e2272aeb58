/** What a sharded job tells of one customer: a JSON object on a line, written by a script that may be anybody's. */
import { z } from "zod";
import { MetricsError } from "./errors.js";
import { LIMITS } from "./limits.js";
import { type Evaluation, readEvaluation } from "./metrics.js";

const trialSchema = z.object({
  /** As text, as SageMaker has them. */
  hyperparameters: z.record(z.string().max(256), z.string().max(LIMITS.hyperParameterValueLength)),
  /** Of the objective; null when the trial failed. */
  value: z.number().nullable(),
  failure: z.string().optional(),
});
export type PackedTrial = z.infer<typeof trialSchema>;

/** Scripts may tell more: it is passed over. */
const lineSchema = z.object({
  customer: z.string().min(1).max(LIMITS.customerKeyLength),
  /** By the names that a job for one customer prints. */
  metrics: z.record(z.string(), z.number()).optional(),
  /** In place of metrics: why there is no model. */
  failure: z.string().optional(),
  trials: z.array(trialSchema).max(LIMITS.randomTrainingJobs).default([]),
  /** That the job worked for this customer: by them its cost is shared. */
  seconds: z.number().min(0).optional().catch(undefined),
});

export type CustomerResult =
  | {
      readonly kind: "fitted";
      readonly customerKey: string;
      readonly evaluation: Evaluation;
      readonly trials: readonly PackedTrial[];
      /** That the job worked for this customer; null when it does not say. */
      readonly seconds: number | null;
    }
  | {
      readonly kind: "failed";
      readonly customerKey: string;
      readonly reason: string;
      readonly seconds: number | null;
    }
  /** Null: not even the customer can be told. */
  | { readonly kind: "unreadable"; readonly customerKey: string | null; readonly reason: string };

/** Never throws: one bad line is one customer's failure. */
export function readCustomerLine(line: string, objective?: string): CustomerResult {
  const parsed = lineSchema.safeParse(parsedJson(line));
  if (!parsed.success)
    return { kind: "unreadable", customerKey: keyIn(line), reason: whatIsWrong(parsed.error) };
  const { customer: customerKey, metrics, failure, trials, seconds = null } = parsed.data;
  if (metrics === undefined || failure !== undefined)
    return { kind: "failed", customerKey, reason: firstOf(failure), seconds };
  try {
    const list = Object.entries(metrics).map(([MetricName, Value]) => ({ MetricName, Value }));
    const evaluation = readEvaluation(list, objective);
    return { kind: "fitted", customerKey, evaluation, trials, seconds };
  } catch (error) {
    if (!(error instanceof MetricsError)) throw error;
    return { kind: "failed", customerKey, reason: error.message, seconds };
  }
}

const parsedJson = (line: string): unknown => {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
};

/** Of a line that is no JSON, such as one with NaN: Python writes that unless it is told not to. */
const keyIn = (line: string): string | null =>
  /"customer"\s*:\s*"([a-z0-9-]{1,40})"/.exec(line)?.[1] ?? null;

const firstOf = (failure: string | undefined): string => {
  const words = failure?.trim() ?? "";
  return words === "" ? "the training script gave no reason" : words.slice(0, LIMITS.reasonLength);
};

function whatIsWrong({ issues: [issue] }: z.ZodError): string {
  const where = issue?.path.join(".") ?? "";
  return where === ""
    ? "the training script's line about it is no JSON object (NaN and Infinity are no JSON)"
    : `the training script's line about it is wrong at ${where}: ${issue?.message ?? ""}`;
}
