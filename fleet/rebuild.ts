/** What a ledger that is rebuilt from lineage makes of the registry and of the stages, which know what came after it. */

/** What a rebuilt ledger has of a fleet, and what nobody knows any more. */
export interface RebuiltFleet {
  readonly fleet: string;
  /** Where the lineage was read. */
  readonly source: string;
  /** When it was written, ISO. */
  readonly writtenAt: string;
  readonly dryRun: boolean;
  /** From the lineage, by table. */
  readonly rows: Readonly<Record<string, number>>;
  /** What was known beyond it: sentences' counts, each of versions. */
  readonly since: SinceLineage;
  /** What could not be had again: a sentence each. */
  readonly lost: readonly string[];
}

export interface SinceLineage {
  /** Versions whose approval status the registry had otherwise. */
  readonly decided: number;
  /** Versions that only the registry knew. */
  readonly registered: number;
  /** Customers, by stage, who are served otherwise than the lineage said. */
  readonly served: number;
}

/** A lineage that was written. */
export interface ExportedFleet {
  readonly fleet: string;
  readonly place: string;
  readonly writtenAt: string;
  readonly rows: Readonly<Record<string, number>>;
  readonly bytes: number;
}

/** Of a version in the registry. */
export interface RegistryWord {
  readonly status: string | undefined;
  /** ApprovalDescription. */
  readonly description: string | undefined;
  /** Whoever AWS says has changed it last. */
  readonly changedBy: string;
}

export interface DecisionSince {
  readonly state: "approved" | "denied" | "superseded" | "expired";
  readonly by: string;
  readonly note: string | null;
}

/** What was decided since the lineage was written, in which the version stands as `state`; null: nothing. */
export function decisionSince(
  state: "pending" | "approved" | "rejected" | "serving",
  word: RegistryWord,
): DecisionSince | null {
  if (word.status === "Approved")
    return state === "pending" ? { state: "approved", ...decidedBy(word) } : null;
  if (word.status !== "Rejected") return null;
  const { by, note } = decidedBy(word);
  return { state: by === "modelfleet" ? endedAs(note) : "denied", by, note };
}

/** As `approvalDescription` writes it, `name` or `name: note`; other words are those of who decided in the registry. */
function decidedBy({ description = "", changedBy }: RegistryWord): {
  by: string;
  note: string | null;
} {
  const [, by, note] = /^(\S+)(?:: (.+))?$/s.exec(description.trim()) ?? [];
  if (by !== undefined) return { by: by.replace(/:$/, ""), note: note ?? null };
  return { by: changedBy, note: description.trim() === "" ? null : description.trim() };
}

/** Of what modelfleet itself rejects; by the words that it does so with. */
const endedAs = (note: string | null): DecisionSince["state"] =>
  note?.startsWith("nobody decided") ? "expired" : "superseded";
