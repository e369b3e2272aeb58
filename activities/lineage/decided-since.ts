/** Takes over from the model registry what was decided after the lineage was written. */
import {
  BatchDescribeModelPackageCommand,
  DescribeModelPackageCommand,
  type SageMakerClient,
} from "@aws-sdk/client-sagemaker";
import type pg from "pg";
import { LIMITS } from "../../fleet/limits.js";
import { decisionSince, type DecisionSince } from "../../fleet/rebuild.js";
import { inParallel } from "../in-parallel.js";
import { recordReleaseDecision } from "../ledger/decisions.js";
import { byWhom } from "../registry-watch.js";
import type { SinceFindings } from "./since.js";

/** One that served when the lineage was written, and was rejected since: whether it still serves, the stages say. */
export interface LeavingVersion {
  readonly customerKey: string;
  readonly version: number;
  readonly by: string;
  readonly note: string | null;
  readonly at: string;
}

interface OpenVersion {
  /** Null of a cohort. */
  readonly customerKey: string | null;
  readonly version: number;
  readonly state: "pending" | "approved" | "rejected" | "serving";
  readonly arn: string;
}

const CALLS_AT_A_TIME = 4;

export async function decideSince(
  connection: pg.PoolClient,
  sagemaker: SageMakerClient,
  fleet: string,
  findings: SinceFindings,
): Promise<LeavingVersion[]> {
  const leaving: LeavingVersion[] = [];
  let gone = 0;
  for await (const page of openVersions(connection, fleet)) {
    const { ModelPackageSummaries = {} } = await sagemaker.send(
      new BatchDescribeModelPackageCommand({ ModelPackageArnList: page.map(({ arn }) => arn) }),
    );
    const changed: OpenVersion[] = [];
    for (const one of page) {
      const status = ModelPackageSummaries[one.arn]?.ModelApprovalStatus;
      if (ModelPackageSummaries[one.arn] === undefined) gone += 1;
      if (decisionSince(one.state, { status, description: undefined, changedBy: "" }) !== null)
        changed.push(one);
    }
    const decisions: { one: OpenVersion; decision: DecisionSince; at: string }[] = [];
    await inParallel(CALLS_AT_A_TIME, changed, async (one) => {
      const found = await sagemaker.send(
        new DescribeModelPackageCommand({ ModelPackageName: one.arn }),
      );
      const decision = decisionSince(one.state, {
        status: found.ModelApprovalStatus,
        description: found.ApprovalDescription,
        changedBy: byWhom(found.LastModifiedBy),
      });
      const at = found.LastModifiedTime ?? found.CreationTime ?? new Date();
      if (decision !== null) decisions.push({ one, decision, at: at.toISOString() });
    });
    // One by one: they share the transaction's connection.
    for (const { one, decision, at } of decisions) {
      const { version, customerKey, state } = one;
      const { by, note } = decision;
      findings.decided += 1;
      if (customerKey === null)
        await decideCohort(connection, { fleet, version, decision, at }, findings);
      else if (state === "serving") leaving.push({ customerKey, version, by, note, at });
      else {
        const verdict = decision.state === "approved" ? "approve" : "deny";
        await recordReleaseDecision(connection, {
          ...{ fleet, customerKey, version, at, state: decision.state },
          decision: { verdict, by, ...(note === null ? {} : { note }) },
        });
      }
    }
  }
  if (gone > 0)
    findings.lost.push(
      `${gone} versions that are open or serve are not in the model registry any more: they stand as the lineage has them`,
    );
  return leaving;
}

/** All that may have been decided meanwhile, in pages of what one call takes. */
async function* openVersions(
  connection: pg.PoolClient,
  fleet: string,
): AsyncGenerator<OpenVersion[]> {
  const { rows: cohorts } = await connection.query<OpenVersion>(
    `select null as "customerKey", version, case state when 'published' then 'serving' else state end as state,
            model_package_arn as arn
       from cohorts where fleet = $1 and state in ('pending', 'approved', 'published') order by version`,
    [fleet],
  );
  for (let from = 0; from < cohorts.length; from += LIMITS.modelPackagesPerCall)
    yield cohorts.slice(from, from + LIMITS.modelPackagesPerCall);
  let after = { customerKey: "", version: 0 };
  for (;;) {
    const { rows } = await connection.query<OpenVersion & { readonly customerKey: string }>(
      `select customer_key as "customerKey", version, state, model_package_arn as arn from releases
        where fleet = $1 and not cohort and state in ('pending', 'approved', 'rejected', 'serving')
          and (customer_key, version) > ($2, $3)
        order by customer_key, version limit $4`,
      [fleet, after.customerKey, after.version, LIMITS.modelPackagesPerCall],
    );
    const last = rows.at(-1);
    if (last === undefined) return;
    after = last;
    yield rows;
  }
}

/** Of all members alike: who was left out by name, the registry does not say. */
async function decideCohort(
  connection: pg.PoolClient,
  o: {
    readonly fleet: string;
    readonly version: number;
    readonly decision: DecisionSince;
    readonly at: string;
  },
  findings: SinceFindings,
): Promise<void> {
  const { state, by, note } = o.decision;
  const from = state === "denied" ? ["pending", "approved", "rejected"] : ["pending"];
  const key = [o.fleet, o.version, state, by, o.at, note];
  await connection.query(
    `insert into release_decisions (fleet, customer_key, version, decided_at, state, decided_by, note)
     select fleet, customer_key, version, $5, $3, $4, $6 from releases
      where fleet = $1 and version = $2 and cohort and state = any($7)
     on conflict do nothing`,
    [...key, from],
  );
  await connection.query(
    `with release as (
       update releases set state = $3, decided_by = $4, decided_at = $5, note = $6
        where fleet = $1 and version = $2 and cohort and state = any($7) returning customer_key, cycle)
     update customers c set state = $3, reason = coalesce($6, c.reason), updated_at = now() from release
      where c.fleet = $1 and c.cycle = release.cycle and c.customer_key = release.customer_key`,
    [...key, from],
  );
  await connection.query(
    `update cohorts set state = $3, decided_by = $4, decided_at = $5, note = $6
      where fleet = $1 and version = $2 and state = any($7)`,
    [...key, from],
  );
  if (state === "approved")
    findings.lost.push(
      `whom ${by} left out when approving version ${o.version} of all customers: they stand as approved, and are not served`,
    );
}
