/** The gate's policy: what a new model must show before it may replace the one that serves. */
import { z } from "zod";
import { LIMITS } from "./limits.js";

const bound = z.strictObject({
  /** In the target's unit; an error above it is never accepted. */
  max: z.number().min(0),
});

/** How sure the improvement over the champion must be. */
const judgementSchema = z.union(
  [
    z.literal("threshold"),
    z.strictObject({
      /** `non-inferior`: not worse than the champion by more than `margin`. `superior`: better by more than `margin`. */
      kind: z.enum(["non-inferior", "superior"]),
      /** Share of the champion's error, 0.01 = 1 %. */
      margin: z.number().min(0).lt(1),
      /** Of the two-sided interval whose lower end is compared. */
      confidence: z.number().min(0.5).max(0.999).default(0.95),
    }),
  ],
  '"threshold" (the measured improvement counts), or such as { kind: "non-inferior", margin: 0.01, confidence: 0.95 } ' +
    'or { kind: "superior", margin: 0, confidence: 0.95 }',
);

export const gateSchema = z
  .strictObject({
    metric: z.enum(["rmse", "mae"]).default("rmse"),
    /** Share of the champion's error that a challenger must remove, 0.02 = 2 %. */
    better: z.number().min(-1).max(1).default(0),
    judgement: judgementSchema.default("threshold"),
    /** Fewer held-out rows than this: a person decides. */
    minimumTestRows: z.int().min(1).default(1),
    /** By metric: what a model's error must not exceed, whatever the champion's is. */
    bounds: z
      .strictObject({
        rmse: bound.optional(),
        mae: bound.optional(),
        /** Standard deviation of the signed errors. */
        stdev_error: bound.optional(),
      })
      .default({}),
    /** A model whose error is above predict-the-mean's is not accepted. */
    noWorseThanBaseline: z.boolean().default(false),
    /** Groups of rows, one by value of a feature, in none of which the error may grow by more than a share. */
    segments: z
      .array(
        z.strictObject({
          column: z.string().min(1).max(63),
          /** Share of the champion's error in that group, 0.1 = 10 %. */
          maximumDrop: z.number().min(0),
        }),
      )
      .max(
        LIMITS.gateSegments,
        `at most ${LIMITS.gateSegments} segments: each takes one of the metrics that SageMaker keeps of a job`,
      )
      .default([]),
    /** A customer's first model: always a person's to decide, or judged like any other. */
    firstModel: z.enum(["ask", "approve-as-policy"]).default("approve-as-policy"),
    /** `false`: a person decides. Else: approved when the error is at least this share below predict-the-mean. */
    autoApprove: z
      .union(
        [z.literal(false), z.strictObject({ betterThanBaseline: z.number().min(-10).lt(1) })],
        "false (a person decides), or such as { betterThanBaseline: 0.3 } (a share, at most 1)",
      )
      .default(false),
  })
  .refine((gate) => gate.judgement === "threshold" || gate.better === 0, {
    path: ["better"],
    message:
      'is for judgement: "threshold"; say by how much in judgement.margin, and leave `better` out',
  })
  .refine((gate) => new Set(gate.segments.map((one) => one.column)).size === gate.segments.length, {
    path: ["segments"],
    message: "names one column twice",
  });

export type GatePolicy = z.infer<typeof gateSchema>;
