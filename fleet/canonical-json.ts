/** One text for one value, and its hash: the basis of every name that must not depend on key order. */
import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex, utf8ToBytes } from "@noble/hashes/utils.js";

/** JSON with sorted keys and without `undefined`, so that equal values give equal texts. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) => (isRecord(inner) ? sorted(inner) : inner));
}

export const sha256Hex = (text: string): string => bytesToHex(sha256(utf8ToBytes(text)));

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function sorted(value: Record<string, unknown>): Record<string, unknown> {
  // A null prototype: a key called __proto__ is data like any other.
  const copy: Record<string, unknown> = Object.create(null) as Record<string, unknown>;
  // Ordered by code unit, never by locale: the text must be the same on every machine.
  for (const key of Object.keys(value).sort((a, b) => (a < b ? -1 : 1))) copy[key] = value[key];
  return copy;
}
