/** List requests: their filters, sort order and opaque page tokens. */
import { createHash } from "node:crypto";
import type { Kind, Scope } from "./arns.js";
import { validationError } from "./errors.js";
import type { FaultInjector } from "./faults.js";
import { isList } from "./json.js";
import type { ListQuery, Position, Row, SortColumn, Store } from "./store.js";

/** The members that List operations have in common; the model says which of them each one takes. */
interface ListRequest {
  readonly NextToken?: string;
  readonly MaxResults?: number;
  readonly NameContains?: string;
  readonly SortBy?: string;
  readonly SortOrder?: string;
  readonly CreationTimeAfter?: number;
  readonly CreationTimeBefore?: number;
  readonly LastModifiedTimeAfter?: number;
  readonly LastModifiedTimeBefore?: number;
}

/** What an operation does when the request does not say, and what it filters beyond the common members. */
export interface ListRules {
  readonly sortBy: "Name" | "CreationTime";
  readonly order: "Ascending" | "Descending";
  readonly filter?: Pick<
    ListQuery,
    "status" | "parent" | "inGroup" | "documentContains" | "createdAfter"
  >;
}

export const oldestFirst = { sortBy: "CreationTime", order: "Ascending" } as const;
export const newestFirst = { sortBy: "CreationTime", order: "Descending" } as const;
export const byName = { sortBy: "Name", order: "Ascending" } as const;

export interface Page<K extends Kind> {
  readonly rows: readonly Row<K>[];
  /** Spread into the answer: empty on the last page. */
  readonly token: { readonly NextToken?: string };
}

/** AWS states 10 for some operations and nothing for the others. */
const defaultPageSize = 10;

export type Lists = ReturnType<typeof createLists>;

export function createLists(store: Pick<Store, "list">, faults: FaultInjector) {
  return {
    async page<K extends Kind>(
      kind: K,
      scope: Scope,
      request: ListRequest,
      rules: ListRules,
    ): Promise<Page<K>> {
      const query = listQuery(kind, scope, request, rules);
      const { readLagSeconds } = faults.current();
      const visible = readLagSeconds === undefined ? query : withLag(query, readLagSeconds);
      return toPage(await store.list(kind, visible), query, request);
    },
  };
}

/** Asks for one row more than the page holds, to know whether another page follows. */
function listQuery(kind: Kind, scope: Scope, request: ListRequest, rules: ListRules): ListQuery {
  const after = request.NextToken === undefined ? undefined : readToken(request.NextToken, request);
  const { NameContains, CreationTimeAfter, CreationTimeBefore } = request;
  const { LastModifiedTimeAfter, LastModifiedTimeBefore } = request;
  return {
    account: scope.account,
    region: scope.region,
    kind,
    sortBy: sortColumn(request.SortBy ?? rules.sortBy),
    descending: (request.SortOrder ?? rules.order) === "Descending",
    limit: (request.MaxResults ?? defaultPageSize) + 1,
    ...rules.filter,
    ...(after && { after }),
    ...(NameContains !== undefined && { nameContains: NameContains }),
    ...(CreationTimeAfter !== undefined && { createdAfter: CreationTimeAfter }),
    ...(CreationTimeBefore !== undefined && { createdBefore: CreationTimeBefore }),
    ...(LastModifiedTimeAfter !== undefined && { modifiedAfter: LastModifiedTimeAfter }),
    ...(LastModifiedTimeBefore !== undefined && { modifiedBefore: LastModifiedTimeBefore }),
  };
}

function withLag(query: ListQuery, lagSeconds: number): ListQuery {
  const seen = Date.now() / 1000 - lagSeconds;
  return { ...query, createdBefore: Math.min(query.createdBefore ?? seen, seen) };
}

/** Cuts the extra row off; a page that had one is followed by another. */
function toPage<K extends Kind>(
  rows: readonly Row<K>[],
  query: ListQuery,
  request: ListRequest,
): Page<K> {
  const page = rows.slice(0, query.limit - 1);
  const last = page.at(-1);
  if (rows.length < query.limit || last === undefined) return { rows: page, token: {} };
  const value = sortValue(last, query.sortBy);
  return { rows: page, token: { NextToken: writeToken({ value, id: last.id }, request) } };
}

function sortColumn(sortBy: string): SortColumn {
  if (sortBy === "Name") return "name";
  if (sortBy === "FinalObjectiveMetricValue") return "objective";
  return sortBy === "Status" ? "status" : "created_at";
}

function sortValue(row: Row<Kind>, column: SortColumn): string | number {
  if (column === "name") return row.key.name;
  if (column === "objective") return objectiveOf(row);
  return column === "status" ? (row.status ?? "") : row.createdAt;
}

function objectiveOf({ hidden }: Row<Kind>): number {
  return "trial" in hidden && typeof hidden.trial === "object" ? (hidden.trial.objective ?? 0) : 0;
}

function writeToken(position: Position, request: ListRequest): string {
  const token = [position.value, position.id, fingerprint(request)];
  return Buffer.from(JSON.stringify(token)).toString("base64url");
}

function readToken(token: string, request: ListRequest): Position {
  try {
    const parsed: unknown = JSON.parse(Buffer.from(token, "base64url").toString("utf8"));
    if (isList(parsed)) {
      const [value, id, filters] = parsed;
      const isValue = typeof value === "string" || typeof value === "number";
      if (isValue && typeof id === "number" && filters === fingerprint(request))
        return { value, id };
    }
  } catch {
    // Not a token of ours: the answer below says so.
  }
  throw validationError("Invalid NextToken: it must come from a request with the same filters.");
}

/** A token continues one search: the filters and the order must not change on the way. */
function fingerprint(request: ListRequest): string {
  const filters = Object.entries(request)
    .filter(([name]) => name !== "NextToken" && name !== "MaxResults")
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return createHash("sha256").update(JSON.stringify(filters)).digest("base64url").slice(0, 16);
}
