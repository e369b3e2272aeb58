/** Decides whether a cycle may start another job, by what it has spent and what runs. */
import type { CycleBudget } from "./budget.schema.js";
import { SpecError } from "./errors.js";
import { priceOf, type Prices } from "./prices.js";

export interface Spending {
  /** Of jobs that have ended. */
  readonly spentUsd: number;
  /** Of jobs that run: as long as jobs of their kind took so far, or longer when they do. */
  readonly runningUsd: number;
  /** The same for the job that asks. */
  readonly nextUsd: number;
}

/** Null when the job may start, else why not, in one sentence. What runs is never stopped for it. */
export function budgetRefusal({ perCycleUsd }: CycleBudget, spending: Spending): string | null {
  const { spentUsd, runningUsd, nextUsd } = spending;
  if (spentUsd + runningUsd + nextUsd <= perCycleUsd) return null;
  return (
    `budget.perCycleUsd allows ${dollars(perCycleUsd)}: ${dollars(spentUsd)} are spent, what runs comes to ` +
    `about ${dollars(runningUsd)}, and another job to about ${dollars(nextUsd)}`
  );
}

/** To the cent; below a cent to two digits, so that a small cost is not none. */
export const dollars = (usd: number): string =>
  `$${usd === 0 || usd >= 0.01 ? usd.toFixed(2) : usd.toPrecision(2)}`;

/** What of a spec decides what is paid for. */
interface Priced {
  readonly budget?: CycleBudget | undefined;
  readonly prices?: Prices | undefined;
  readonly preparation?: { readonly instanceType: string } | undefined;
  readonly training: {
    readonly instanceType: string;
    readonly preprocessor?: {
      readonly instanceType: string;
      readonly transform: { readonly instanceType: string };
    };
  };
}

/** Throws SpecError for a budget over jobs of which a price is not known: it could not be kept. */
export function assertBudgetPriced(spec: Priced, region: string): void {
  if (spec.budget === undefined) return;
  const { preparation, training, prices } = spec;
  const types: readonly (readonly [string, string | undefined])[] = [
    ["training.instanceType", training.instanceType],
    ["preparation.instanceType", preparation?.instanceType],
    ["training.preprocessor.instanceType", training.preprocessor?.instanceType],
    ["training.preprocessor.transform.instanceType", training.preprocessor?.transform.instanceType],
  ];
  for (const [field, type] of types)
    if (type !== undefined && priceOf(type, { region, prices }) === null)
      throw new SpecError(
        `budget.perCycleUsd cannot be kept: the price of ${field} ${type} in ${region} is not known`,
        `give it in the fleet file, as prices: { "${type}": <US dollars an hour> }, or leave budget out`,
      );
}
