/** Decides whether a cycle lost more customers than its fleet allows. */

export interface CycleCounts {
  /** All customers of the cycle. */
  readonly customers: number;
  readonly skipped: number;
  readonly failed: number;
}

/**
 * Null within the budget, else the sentence that the cycle fails with. Skipped customers do not count: a cycle
 * that trains three and loses all three must not hide behind a thousand unchanged ones.
 */
export function failureBudgetExceeded(counts: CycleCounts, budget: number): string | null {
  const tried = counts.customers - counts.skipped;
  if (counts.failed === 0 || counts.failed <= budget * tried) return null;
  return (
    `${counts.failed} of ${tried} customers failed (${percent(counts.failed / tried)}), ` +
    `failureBudget allows ${percent(budget)}`
  );
}

const percent = (share: number): string => `${Number((share * 100).toFixed(1))} %`;
