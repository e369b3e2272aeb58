/** What a transform job goes by: the request first, then what its container asks for, then AWS's defaults. */
import { z } from "zod";
import type { Documents } from "./documents.js";
import { recordFilters } from "./transform-filters.js";
import type { RecordFilters } from "./transform-filters.js";

export type TransformJob = Documents["transform-job"];

export interface TransformSettings {
  readonly strategy: "SingleRecord" | "MultiRecord";
  readonly maxPayloadBytes: number;
  readonly concurrentTransforms: number;
  readonly filters: RecordFilters | undefined;
}

/** AWS API, CreateTransformJob: MaxPayloadInMB when nobody says; the strategy's default is not documented. */
const defaults = { maxPayloadInMb: 6, concurrentTransforms: 1, strategy: "MultiRecord" } as const;

export const megabyte = 1024 * 1024;

const parametersSchema = z.object({
  MaxConcurrentTransforms: z.int().min(1).optional().catch(undefined),
  BatchStrategy: z.enum(["MULTI_RECORD", "SINGLE_RECORD"]).optional().catch(undefined),
  MaxPayloadInMB: z.int().min(1).optional().catch(undefined),
});

/** `parameters` is what GET /execution-parameters answered, if anything. */
export function settingsOf(job: TransformJob, parameters: unknown): TransformSettings {
  const asked = parametersSchema.safeParse(parameters).data ?? {};
  const named = { MULTI_RECORD: "MultiRecord", SINGLE_RECORD: "SingleRecord" } as const;
  const askedStrategy = asked.BatchStrategy && named[asked.BatchStrategy];
  const maxPayloadInMb = job.MaxPayloadInMB ?? asked.MaxPayloadInMB ?? defaults.maxPayloadInMb;
  return {
    strategy: job.BatchStrategy ?? askedStrategy ?? defaults.strategy,
    maxPayloadBytes: maxPayloadInMb * megabyte,
    concurrentTransforms:
      // AWS: 0 is the same as not to say.
      (job.MaxConcurrentTransforms || asked.MaxConcurrentTransforms) ??
      defaults.concurrentTransforms,
    filters: filtersOf(job),
  };
}

/** Throws ValidationException for filters that cannot be. */
export function filtersOf(
  job: Pick<TransformJob, "DataProcessing" | "TransformInput" | "TransformOutput">,
): RecordFilters | undefined {
  const { ContentType = "", SplitType = "None" } = job.TransformInput;
  return recordFilters(job.DataProcessing ?? {}, {
    contentType: ContentType,
    isWhole: SplitType === "None",
    separator: job.TransformOutput?.AssembleWith === "Line" ? "\n" : "",
  });
}

/** Batch transform tells the container what the user asked for, and only that. */
export function batchEnvironment(job: TransformJob): Record<string, string> {
  const { MaxPayloadInMB, BatchStrategy, MaxConcurrentTransforms, Environment } = job;
  const strategy = BatchStrategy === "SingleRecord" ? "SINGLE_RECORD" : "MULTI_RECORD";
  return {
    ...(MaxPayloadInMB !== undefined && { SAGEMAKER_MAX_PAYLOAD_IN_MB: String(MaxPayloadInMB) }),
    ...(BatchStrategy !== undefined && { SAGEMAKER_BATCH_STRATEGY: strategy }),
    ...(MaxConcurrentTransforms !== undefined && {
      SAGEMAKER_MAX_CONCURRENT_TRANSFORMS: String(MaxConcurrentTransforms),
    }),
    ...Environment,
  };
}
