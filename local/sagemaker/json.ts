/** JSON values that nobody has looked at yet. */

/** An object; what its members are is still open. */
export type Members = Readonly<Record<string, unknown>>;

export function isMembers(value: unknown): value is Members {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** As Array.isArray, but the elements stay unknown. */
export function isList(value: unknown): value is readonly unknown[] {
  return Array.isArray(value);
}
