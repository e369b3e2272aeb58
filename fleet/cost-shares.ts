/** Deals out to customers what a job that worked for all of them cost. */

export interface CostMember {
  readonly customerKey: string;
  /** That the job worked for this customer, by its own word; null when it does not say. */
  readonly seconds: number | null;
}

export type SharedBy = "seconds" | "equal";

export interface CostShares {
  readonly by: SharedBy;
  /** US dollars by customer's key; they add up to what was dealt out. */
  readonly shares: ReadonlyMap<string, number>;
}

/** By seconds when the job tells those of every customer; in equal parts when one of them is not told. */
export function shareCost(usd: number, members: readonly CostMember[]): CostShares {
  const told = members.map(({ seconds }) => seconds);
  const total = told.reduce<number>((sum, seconds) => sum + (seconds ?? 0), 0);
  const by = total > 0 && !told.includes(null) ? "seconds" : "equal";
  const share = (seconds: number | null): number =>
    by === "seconds" ? usd * ((seconds ?? 0) / total) : usd / members.length;
  return {
    by,
    shares: new Map(members.map(({ customerKey, seconds }) => [customerKey, share(seconds)])),
  };
}
