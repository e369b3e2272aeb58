/** What a version is rebuilt from: its model package's metadata, as model-package-request.ts writes it. */
import { z } from "zod";

export const metadataSchema = z.object({
  fleet: z.string(),
  customer: z.string(),
  "customer-key": z.string().regex(/^[a-z0-9-]+$/),
  cycle: z.string().regex(/^[0-9a-z-]+$/),
  "window-floor": z.iso.datetime(),
  "window-ceiling": z.iso.datetime(),
  "spec-hash": z.string().regex(/^[0-9a-f]{64}$/),
  "training-job": z.string().min(1),
  decision: z.enum(["approve", "ask"]),
  because: z.string(),
  "data-hash": z.string().optional(),
  "champion-version": z.coerce.number().int().optional(),
  "train-rows": z.coerce.number().int(),
  "validation-rows": z.coerce.number().int(),
  "test-rows": z.coerce.number().int(),
  testing: z.literal("true").optional(),
});
export type PackageMetadata = z.infer<typeof metadataSchema>;
