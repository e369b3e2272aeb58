/** How long a fleet's models may wait for a person, who is told meanwhile, and what happens in the end. */
import { z } from "zod";
import { secondsOf } from "./duration.js";

const duration = z
  .string()
  .regex(/^[1-9]\d{0,4}[smhd]$/, "a whole number with its unit s, m, h or d, such as 2d");

export const approvalSchema = z
  .strictObject({
    /** Counted, like the others, from the moment when the version was registered. */
    remindAfter: duration.optional(),
    escalateAfter: duration.optional(),
    expireAfter: duration.optional(),
    onExpiry: z.enum(["deny", "keep-waiting"]).default("deny"),
    /** Name of the secret (an environment variable of the worker) that holds the webhook's URL. */
    webhook: z
      .string()
      .regex(/^[A-Z][A-Z0-9_]*$/, "the name of a secret, such as SLACK_WEBHOOK_URL, never the URL")
      .optional(),
  })
  .superRefine((approval, context) => {
    let before: (typeof ORDER)[number] | undefined;
    for (const field of ORDER) {
      const after = approval[field];
      if (after === undefined) continue;
      // NaN, of what the field's own check has refused already, compares with nothing.
      if (before !== undefined && secondsOf(after) <= secondsOf(approval[before] ?? ""))
        context.addIssue({
          code: "custom",
          path: [field],
          message: `must be longer than ${before}, which is ${approval[before]}`,
        });
      if (field !== "expireAfter" && approval.webhook === undefined)
        context.addIssue({
          code: "custom",
          path: [field],
          message: "needs `webhook`: without one nobody is told",
        });
      before = field;
    }
  });

const ORDER = ["remindAfter", "escalateAfter", "expireAfter"] as const;

export type ApprovalPolicy = z.infer<typeof approvalSchema>;
