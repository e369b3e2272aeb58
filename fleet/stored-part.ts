/** Tells by its key what an object in a cycle's folder is, and whose. */
import { COHORT_KEY, s3Keys } from "./names.js";

export type StoredPart =
  /** Rows, or what describes them; of all customers when `customerKey` is null. */
  | {
      readonly kind: "dataset";
      readonly customerKey: string | null;
      /** A job has made them of the exported ones: an export alone does not bring them back. */
      readonly byJob: boolean;
    }
  /** What a job made: told by the job's name, or by the customer's key. */
  | {
      readonly kind: "artifact";
      readonly customerKey: string | null;
      readonly jobName: string | null;
    };

/** Null for what no part of modelfleet writes, which is left alone. */
export function storedPart(fleet: string, cycle: string, key: string): StoredPart | null {
  const folder = s3Keys.cycle(fleet, cycle);
  if (!key.startsWith(folder)) return null;
  const [first = "", ...rest] = key.slice(folder.length).split("/");
  switch (first) {
    case "data":
    case "customers":
    case "schema":
    case "inputs":
    case "cohort-inputs":
    case "manifest.json":
      return dataset([first, ...rest], false);
    case "prepared":
    case "transformed":
      // The work's hash, and then laid out as the cycle's own folder.
      return dataset(rest.slice(1), true);
    case "output":
      return { kind: "artifact", customerKey: null, jobName: rest[0] ?? null };
    case "cohort":
      return artifactOf(rest[1]);
    case "evaluations":
      return artifactOf(rest[0]);
    default:
      return null;
  }
}

function dataset([first, ...rest]: readonly string[], byJob: boolean): StoredPart {
  const owner =
    first === "data"
      ? rest[0]
      : first === "customers"
        ? stem(rest[0])
        : first === "champions"
          ? rest[1]
          : null;
  return { kind: "dataset", customerKey: owner ?? null, byJob };
}

function artifactOf(file: string | undefined): StoredPart {
  const owner = stem(file);
  const customerKey = owner === undefined || owner === COHORT_KEY ? null : owner;
  return { kind: "artifact", customerKey, jobName: null };
}

/** No customer's key has a dot. */
const stem = (file: string | undefined): string | undefined => file?.split(".")[0];

export interface ServedCopy {
  readonly customerKey: string;
  readonly version: number;
}

/** A version's own copy in a stage; null for what is shared, overwritten or no model. */
export function servedCopy(fleet: string, stage: string, key: string): ServedCopy | null {
  const folder = s3Keys.stage(fleet, stage);
  if (!key.startsWith(folder)) return null;
  const [, customerKey, version] =
    /^(?:g\d+\/)?models\/([^/]+)\/v(\d{6,})\.tar\.gz$/.exec(key.slice(folder.length)) ?? [];
  return customerKey === undefined ? null : { customerKey, version: Number(version) };
}
