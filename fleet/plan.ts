/** Decides whether a cycle trains a customer's model, skips it, or tells that its data cannot be used. */

export interface CustomerDataset {
  /** Usable rows by split. */
  readonly rows: { readonly train: number; readonly validation: number; readonly test: number };
  /** Rows whose target is NULL, NaN or infinite: exported nowhere. */
  readonly invalidRows: number;
  /** sha256 over the exported bytes; null when nothing was exported. */
  readonly dataHash: string | null;
  /** `modelHash` of the spec: code, query, hyperparameters, all that makes a model of the data. */
  readonly modelHash: string;
}

/** What the model that serves was made from. */
export interface ChampionOrigin {
  readonly version: number;
  readonly dataHash: string | null;
  /** Null when its spec can no longer be read. */
  readonly modelHash: string | null;
}

export interface PlanCustomerInput extends CustomerDataset {
  readonly minimumRows: number;
  readonly champion?: ChampionOrigin;
  /** Train although nothing changed. */
  readonly force: boolean;
}

export type CustomerPlan =
  | { readonly action: "train" }
  | { readonly action: "skip"; readonly because: string }
  /** The data is wrong, not just scarce: a person must mend the query or the table. */
  | { readonly action: "fail"; readonly because: string };

export function planCustomer(input: PlanCustomerInput): CustomerPlan {
  const { rows, invalidRows, minimumRows } = input;
  const usable = rows.train + rows.validation + rows.test;
  const all = usable + invalidRows;
  if (all === 0) return skip("no rows in the window");
  if (all < minimumRows)
    return skip(`${count(all, "row")}, source.minimumRows asks ${minimumRows}`);
  if (invalidRows > 0)
    return {
      action: "fail",
      because:
        `the target of ${invalidRows} of ${count(all, "row")} is NULL, NaN or infinite: ` +
        "leave such rows out in source.query",
    };
  for (const split of ["train", "validation", "test"] as const)
    if (rows[split] === 0)
      return skip(`none of ${count(usable, "row")} fell to the ${split} split`);
  if (!input.force && input.champion !== undefined && isOrigin(input.champion, input))
    return skip(
      `unchanged: data, code and spec are those of version ${input.champion.version}, which serves`,
    );
  return { action: "train" };
}

function isOrigin(champion: ChampionOrigin, dataset: CustomerDataset): boolean {
  return (
    champion.dataHash !== null &&
    champion.dataHash === dataset.dataHash &&
    champion.modelHash === dataset.modelHash
  );
}

const skip = (because: string): CustomerPlan => ({ action: "skip", because });

const count = (n: number, what: string): string => `${n} ${what}${n === 1 ? "" : "s"}`;
