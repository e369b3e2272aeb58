/** Copies approved artifacts to where a stage's endpoint loads its models from. */
import { log } from "@temporalio/activity";
import type { Client } from "@temporalio/client";
import { hasOwnEndpoint, replacesInPlace } from "../fleet/serving.js";
import { COLLECTED_WORDS, withdrawalWords } from "../fleet/way-back.js";
import type { Publication } from "../workflows/messages.js";
import { rejectRequests, type RejectedRequest } from "./answer-releases.js";
import { atStage, type AtStage, type StageReach } from "./at-stage.js";
import { waitWhileClosed } from "./closed-stage.js";
import { inParallel } from "./in-parallel.js";
import {
  readAskedVersions,
  recordCopied,
  type AskedVersion,
  type StageRef,
} from "./ledger/publications.js";
import { readSpec } from "./ledger/specs.js";
import { wantVersion } from "./ledger/customer-endpoints.js";
import { withHeartbeat } from "./patience.js";
import { copyArtifact } from "./served-artifacts.js";
import { copyCode } from "./served-code.js";
import type { TellDependencies } from "./tell-once.js";

export interface ArtifactDependencies extends StageReach, TellDependencies {
  readonly temporal: Client;
}

type Store = AtStage<ArtifactDependencies>;

/** Some publications of one stage of one fleet. */
export interface PublicationBatch {
  readonly fleet: string;
  readonly stage: string;
  readonly publications: readonly Publication[];
}

export interface RejectedPublication {
  readonly customerKey: string;
  readonly version: number;
  readonly because: string;
}

export interface CopyReport {
  readonly rejected: readonly RejectedPublication[];
  /**
   * Customers whose one artifact (`stable` naming), or endpoint of their own, may hold another version than before:
   * the endpoint has to be refreshed, and what does not serve in the end has to be put back.
   */
  readonly overwritten: readonly string[];
}

const COPIES_AT_A_TIME = 8;

export const createArtifactActivities = (dependencies: ArtifactDependencies) => ({
  /**
   * Rejects (in the ledger, and by signal to its release workflow) what cannot be published: an artifact that
   * is gone, a version without an approval on record, one older than what serves. The rest is in place. A stage
   * elsewhere that is closed to the worker is tried again. Heartbeats.
   */
  copyArtifacts: (batch: PublicationBatch): Promise<CopyReport> =>
    withHeartbeat(() => copyBatch(dependencies, batch)),
});
export type ArtifactActivities = ReturnType<typeof createArtifactActivities>;

async function copyBatch(
  dependencies: ArtifactDependencies,
  { fleet, stage, publications }: PublicationBatch,
): Promise<CopyReport> {
  const place = { fleet, stage };
  const asked = await readAskedVersions(dependencies.ledger, place, publications);
  const rejected: RejectedRequest[] = [];
  const accepted: { request: Publication; version: AskedVersion }[] = [];
  const overwritten = new Set<string>();
  for (const [index, request] of publications.entries()) {
    const version = asked[index];
    const because = refusalOf(version);
    if (because === null && version !== undefined) accepted.push({ request, version });
    else rejected.push({ ...request, because: because ?? "no approval on record" });
    // An earlier attempt may have come to its copy before the denial came.
    if (because !== null && isOverwriting(version)) overwritten.add(request.customerKey);
  }
  // Before the stage is reached: while it is closed, who was denied need not wait with those who were not.
  await rejectRequests(dependencies, place, rejected);
  const refusals = rejected.length;
  // The rows come first: a copy that nobody knows of could not be put back.
  await recordCopied(
    dependencies.ledger,
    place,
    accepted.map(({ version }) => version),
  );
  if (accepted.length > 0)
    await waitWhileClosed(dependencies, place, async () => {
      const store = await atStage(dependencies, place);
      const versions = accepted.map(({ version }) => version);
      await copyCodeOf(store, fleet, versions);
      await inParallel(COPIES_AT_A_TIME, accepted, async ({ request, version }) => {
        const because = await copy(store, place, version);
        if (because !== null) rejected.push({ ...request, because });
        else if (replacesInPlace(version.serving) && version.publication?.state !== "serving")
          overwritten.add(request.customerKey);
      });
    });
  await rejectRequests(dependencies, place, rejected.slice(refusals));
  const copied = publications.length - rejected.length;
  log.info("artifacts copied", { ...place, copied, rejected: rejected.length });
  return { rejected: rejected.map(refused), overwritten: [...overwritten] };
}

/** Versions of one cycle share it. */
async function copyCodeOf(
  store: Store,
  fleet: string,
  versions: readonly AskedVersion[],
): Promise<void> {
  for (const specHash of new Set(versions.map((version) => version.specHash)))
    if (specHash !== null) await copyCode(store, await readSpec(store.ledger, { fleet, specHash }));
}

const refused = ({ customerKey, version, because }: RejectedRequest): RejectedPublication => ({
  customerKey,
  version,
  because,
});

const isOverwriting = (version: AskedVersion | undefined): boolean =>
  version !== undefined &&
  replacesInPlace(version.serving) &&
  version.publication?.state === "copied";

/** Why the version may not be published; null when it may. What was approved and then rejected may try again. */
export function refusalOf(asked: AskedVersion | undefined): string | null {
  const release = asked?.release;
  if (asked === undefined || !release || isUnapproved(asked))
    return "no approval on record: a person or the fleet's policy approves a version first";
  if (release.withdrawal !== null) return withdrawalWords(release.withdrawal);
  if (release.collected) return COLLECTED_WORDS;
  if (release.state === "denied") return `${release.decidedBy ?? "somebody"} denied it`;
  if (asked.stageApproval === "stage" && !asked.isStageApproved)
    return "nobody has approved it for this stage, which wants an approval of its own";
  const serving = asked.servingVersion;
  if (serving !== null && asked.version < serving)
    return `version ${serving} serves, which is newer`;
  switch (release.state) {
    case "pending":
    case "approved":
    case "serving":
    case "rejected":
      return null;
    case "retired":
      return "a newer version took its place";
    case "superseded":
    case "expired":
    case "withdrawn":
      return `it is ${release.state}`;
  }
}

/** Nor may the stage take what nobody has decided about. */
const isUnapproved = ({ release, stageApproval }: AskedVersion): boolean =>
  release?.state === "pending" ? stageApproval !== "none" : release?.decidedBy === null;

/** Why there is nothing to copy; null when the copy is in place, and an endpoint of the customer's own is told. */
async function copy(
  store: Store,
  place: StageRef,
  { customerKey, release, publication, serving, address, ...asked }: AskedVersion,
): Promise<string | null> {
  if (!release) return "no approval on record";
  // It is there and in the containers' memory: overwriting it with itself would only cost a refresh.
  if (replacesInPlace(serving) && publication?.state === "serving") return null;
  const { targetModel, version, specHash } = asked;
  const { artifactUri } = release;
  const { generation } = serving;
  const folder = { ...place, generation };
  const isThere = await copyArtifact(store, folder, { targetModel, version, artifactUri });
  if (!isThere) return `its artifact is gone: ${artifactUri} does not exist`;
  if (hasOwnEndpoint(serving.kind) && specHash !== null)
    await wantVersion(store.ledger, place, {
      ...{ customerKey, version, specHash },
      endpointName: address.endpointName,
    });
  return null;
}
