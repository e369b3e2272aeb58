/** Cohorts of made-up models, as a sharded training job leaves them to be registered. */
import { createHash } from "node:crypto";
import { createCohortPublicationActivities } from "../../activities/cohort-publication.js";
import {
  createCohortRegistrationActivities,
  type RegisteredCohort,
} from "../../activities/cohort-registration.js";
import { createCohortReleaseActivities } from "../../activities/cohort-release.js";
import { createEndpointActivities } from "../../activities/endpoints.js";
import { s3Keys, targetModel } from "../../fleet/names.js";
import type { FleetSpec } from "../../fleet/spec.schema.js";
import { aFleet, openCycle } from "./a-fleet.js";
import { readObject, run, type Parts } from "./parts.js";
import { modelArchive, put, STAGE, withRuntime } from "./publishing.js";

export const aShardedFleet = (name: string): FleetSpec =>
  aFleet({ name, training: { kind: "sharded" } });

export const memberKey = (index: number): string => `c${String(index).padStart(5, "0")}`;

export interface CohortOptions {
  readonly spec: FleetSpec;
  readonly cycle: string;
  readonly members: number;
  /** What every model of it multiplies its rows' sum by. */
  readonly factor?: number;
  /** Members, by index, that ask for a person. */
  readonly asking?: readonly number[];
  /** Members, by index, of which the gate keeps the champion: they are in no cohort of that cycle. */
  readonly keeping?: readonly number[];
  /** Members, by index, whose artifact is not there. */
  readonly gone?: readonly number[];
  /** Members, by index, whose training predicted something else. */
  readonly wrong?: readonly number[];
}

/** Rows as `evaluateCohort` leaves them, and an artifact for each; beside them one of each other outcome. */
export async function anEvaluatedCohort(parts: Parts, options: CohortOptions): Promise<void> {
  const { spec, cycle, members, factor = 10, asking = [], gone = [], wrong = [] } = options;
  const { keeping = [] } = options;
  await openCycle(parts, spec, cycle);
  const folder = cohortFolder(spec.name, cycle);
  const archive = await modelArchive(factor);
  const indexes = Array.from({ length: members }, (_none, index) => index);
  for (const index of indexes)
    if (!gone.includes(index)) await put(parts, `${folder}${memberKey(index)}.tar.gz`, archive);
  await parts.ledger.query(
    `insert into customers (fleet, cycle, customer_key, customer, verification, state)
     select $1, $2, key, upper(key), '["1,2", "3,4"]', state from unnest($3::text[], $4::text[]) as m (key, state)`,
    [
      ...[spec.name, cycle, indexes.map(memberKey)],
      indexes.map((index) => (keeping.includes(index) ? "champion-kept" : "evaluated")),
    ],
  );
  await parts.ledger.query(
    `insert into evaluations (fleet, cycle, customer_key, training_job_name, metrics, baseline_metrics,
                              improvement, artifact_uri, predictions, decision, because)
     select $1, $2, key, 'sharded-job', jsonb_build_object('rmse', 10 + place), '{"rmse": 30}',
            jsonb_build_object('metric', 'rmse', 'estimate', place / 100.0), $4 || key || '.tar.gz',
            predictions, decision, 'better'
       from unnest($3::text[], $5::jsonb[], $6::text[]) with ordinality as m (key, predictions, decision, place)`,
    [
      ...[spec.name, cycle, indexes.map(memberKey), `s3://${parts.bucket}/${folder}`],
      indexes.map((index) =>
        JSON.stringify(wrong.includes(index) ? [1, 2] : [3 * factor, 7 * factor]),
      ),
      indexes.map((index) =>
        keeping.includes(index) ? "keep-champion" : asking.includes(index) ? "ask" : "approve",
      ),
    ],
  );
  await parts.ledger.query(
    `insert into customers (fleet, cycle, customer_key, customer, state)
     values ($1, $2, 'kept', 'KEPT', 'champion-kept'), ($1, $2, 'broken', 'BROKEN', 'failed'),
            ($1, $2, 'same', 'SAME', 'skipped')`,
    [spec.name, cycle],
  );
}

/** As a sharded cycle ends. Throws when the gate has left nobody. */
export async function registerCohort(
  parts: Parts,
  { name: fleet }: FleetSpec,
  cycle: string,
): Promise<RegisteredCohort> {
  const registration = createCohortRegistrationActivities({ ...parts, watchSeconds: 60 });
  const cohort = await run(registration.registerCohort, { fleet, cycle });
  if (cohort === null) throw new Error("nothing was registered");
  return cohort;
}

export const decideCohort = (
  parts: Parts,
  { name: fleet }: FleetSpec,
  o: {
    readonly version: number;
    readonly verdict: "approve" | "deny";
    readonly except?: readonly string[] | undefined;
  },
) =>
  run(createCohortReleaseActivities(parts).recordCohortDecision, {
    ...{ fleet, version: o.version, at: "2026-11-21T12:00:00.000Z" },
    state: o.verdict === "approve" ? "approved" : "denied",
    decision: {
      ...{ verdict: o.verdict, by: "ann", note: "looked at" },
      ...(o.except === undefined ? {} : { except: o.except }),
    },
  } as const);

let clock = Date.parse("2026-11-21T14:30:00Z");

export const refreshEndpoint = (parts: Parts, { name: fleet }: FleetSpec) =>
  run(createEndpointActivities(withRuntime(parts)).ensureEndpoint, {
    ...{ fleet, stage: STAGE, reload: false },
    at: new Date((clock += 1000)).toISOString(),
  });

/** As the endpoint's workflow goes through the pages. Returns what the sample said. */
export async function publishCohort(
  parts: Parts,
  spec: FleetSpec,
  version: number,
): Promise<string> {
  const publication = createCohortPublicationActivities(withRuntime(parts));
  const cohort = { fleet: spec.name, stage: STAGE, version };
  await run(publication.copyCohortPage, { ...cohort, after: "" });
  await refreshEndpoint(parts, spec);
  const verdict = await run(publication.verifyCohort, cohort);
  const verify = verdict.kind === "doubtful";
  if (verdict.kind !== "broken")
    await run(publication.pointCohortPage, { ...cohort, after: "", verify });
  const because = verdict.kind === "broken" ? verdict.because : null;
  await run(publication.answerCohort, { ...cohort, releaseWorkflowId: "gone", because });
  return verdict.kind;
}

export const cohortFolder = (fleet: string, cycle: string): string =>
  `${s3Keys.cycle(fleet, cycle)}cohort/${createHash("sha256").update(cycle).digest("hex").slice(0, 12)}/`;

/** Members by their release's state, and how many pointers lead to the version. */
export async function cohortStanding(parts: Parts, { name }: FleetSpec, version: number) {
  const { rows } = await parts.ledger.query<{ state: string; members: number }>(
    `select state, count(*)::int as members from releases where fleet = $1 and version = $2 group by state`,
    [name, version],
  );
  return Object.fromEntries(rows.map(({ state, members }) => [state, members]));
}

/** Versions that pointers lead to, by member; null: no pointer. */
export async function pointedVersions(
  parts: Parts,
  { name }: FleetSpec,
  members: number,
): Promise<(number | null)[]> {
  const versions: (number | null)[] = [];
  for (let index = 0; index < members; index++) {
    const key = s3Keys.pointer({ fleet: name, stage: STAGE, customerKey: memberKey(index) });
    const text = await readObject(parts, key);
    const pointer: unknown = text === null ? null : JSON.parse(text);
    versions.push(
      pointer !== null && typeof pointer === "object" && "version" in pointer
        ? Number(pointer.version)
        : null,
    );
  }
  return versions;
}

/** Whether the endpoint could load the member's model of that version. */
export const isInPlace = async (
  parts: Parts,
  { name }: FleetSpec,
  index: number,
  version: number,
): Promise<boolean> =>
  (await readObject(
    parts,
    s3Keys.artifact({
      fleet: name,
      stage: STAGE,
      targetModel: targetModel(memberKey(index), version),
    }),
  )) !== null;
