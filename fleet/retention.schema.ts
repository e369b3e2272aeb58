/** How long a fleet keeps what it has made, and when a customer that has left the warehouse is retired. */
import { z } from "zod";
import type { ApprovalPolicy } from "./approval.schema.js";
import { durationText, secondsOf } from "./duration.js";

const duration = z
  .string()
  .regex(/^[1-9]\d{0,4}[smhd]$/, "a whole number with its unit s, m, h or d, such as 180d");

export const RETENTION_DEFAULTS = { artifacts: "180d", datasets: "90d", versions: 3 } as const;

export const retentionSchema = z.strictObject({
  /** What jobs made, counted from when a version was last needed, a cycle's job from the cycle's end. */
  artifacts: duration.default(RETENTION_DEFAULTS.artifacts),
  /** What a cycle exported, counted from its end. */
  datasets: duration.default(RETENTION_DEFAULTS.datasets),
  /** How many versions each stage can go back to, beside the one that serves, however old they are. */
  versions: z
    .int()
    .min(1, "at least 1: a rollback needs a version to go back to")
    .max(100)
    .default(RETENTION_DEFAULTS.versions),
  /** By default customers that have left serve on. */
  retire: z
    .strictObject({
      /** Counted from the first cycle whose export had no rows of the customer. */
      after: duration,
      /** Larger shares of the fleet that are missing at a time are a broken export, and nobody is retired. */
      atMost: z.number().gt(0).max(1).default(0.1),
    })
    .optional(),
});

export type RetentionSpec = z.infer<typeof retentionSchema>;

/** What of a fleet file concerns how long a version is on its way. */
export interface WayParts {
  readonly approval?: Pick<ApprovalPolicy, "expireAfter"> | undefined;
  readonly stages: readonly { readonly lag?: string | undefined }[];
}

/** From a version's registration to the last stage, as far as the fleet file bounds it. Seconds. */
export function longestWaySeconds({ approval, stages }: WayParts): number {
  const approvalSeconds = secondsOf(approval?.expireAfter ?? "0s");
  const lagSeconds = stages.reduce((sum, { lag }) => sum + secondsOf(lag ?? "0s"), 0);
  return approvalSeconds + lagSeconds;
}

/** Tells, with a sentence on why, that artifacts would go sooner than a version comes to its last stage. */
export function checkRetention(
  parts: WayParts & { readonly retention?: RetentionSpec | undefined },
  context: z.RefinementCtx,
): void {
  if (parts.retention === undefined) return;
  const { artifacts } = parts.retention;
  const way = longestWaySeconds(parts);
  // NaN, of what a field's own check has refused already, compares with nothing.
  if (secondsOf(artifacts) < way)
    context.addIssue({
      code: "custom",
      path: ["retention", "artifacts"],
      message:
        `is ${artifacts}, and a version may take ${durationText(way)} from its registration to the last stage ` +
        "(approval.expireAfter and the lags of all stages): the one before it must outlast that to be gone back to, " +
        `so declare at least ${durationText(way)}`,
    });
}
