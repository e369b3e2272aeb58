/** What a cycle may cost, and what instances cost where that is not the list price. */
import { z } from "zod";

export const budgetSchema = z.strictObject({
  /** US dollars for the jobs of one cycle; none is started that would pass it. Endpoints are not part of it. */
  perCycleUsd: z.number().positive("more than 0: a cycle costs something").max(1_000_000_000),
});

export const pricesSchema = z.record(
  z.string().regex(/^ml\./, "a SageMaker instance type, such as ml.m5.large"),
  z.number().positive("US dollars an hour, more than 0"),
);

export type CycleBudget = z.infer<typeof budgetSchema>;
