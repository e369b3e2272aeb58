/** What the columns of a fleet's query are to a model: one rule for the export, `validate` and `plan`. */

/** A column as the warehouse describes it. */
export interface QueryColumn {
  readonly name: string;
  /** `format_type`'s words, such as `integer` or `timestamp with time zone`. */
  readonly type: string;
  /** pg_type.typcategory of the type, or of the type under a domain: `N` for numbers, `S` for text … */
  readonly category: string;
}

/** `boolean` is exported as 0 and 1. */
export type ColumnKind = "number" | "boolean" | "category";

/**
 * Undefined for what no model can use as it is.
 * Categories: https://www.postgresql.org/docs/current/catalog-pg-type.html#CATALOG-TYPCATEGORY-TABLE
 */
export function columnKind({ category, type }: QueryColumn): ColumnKind | undefined {
  // money prints with a currency sign, and object ids (regclass, oid …) are no quantities.
  if (category === "N") return /^(money|oid|reg[a-z]+)$/.test(type) ? undefined : "number";
  if (category === "B") return "boolean";
  return category === "S" || category === "E" ? "category" : undefined;
}

/** How to select a column that no model can use, so that one can. */
export function usableSelection({ name, type }: QueryColumn): string {
  const column = identifier(name);
  return /^(timestamp|date|time|interval)/.test(type)
    ? `extract(epoch from ${column}) as ${column}`
    : `${column}::text as ${column}`;
}

/** How to select a column as the number that a regression predicts. */
export const numberSelection = (name: string): string => `${identifier(name)}::double precision`;

/** An SQL identifier, quoted whatever it holds. */
export const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`;

/** As a person would write it: quoted only when it must be. */
const identifier = (name: string): string =>
  /^[a-z_][a-z0-9_$]*$/.test(name) ? name : quoted(name);

export interface ColumnRoles {
  readonly customer: string;
  readonly target: string;
  readonly split: { readonly column?: string | undefined };
}

/** Every column that has no other role is a feature. */
export function featuresOf<Column extends { readonly name: string }>(
  columns: readonly Column[],
  { customer, target, split }: ColumnRoles,
): Column[] {
  const roles: readonly (string | undefined)[] = [customer, target, split.column];
  return columns.filter(({ name }) => !roles.includes(name));
}
