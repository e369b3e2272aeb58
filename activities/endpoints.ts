/** Keeps a stage's endpoint as the fleet declares it, and points customers to verified models. */
import { log } from "@temporalio/activity";
import type { Client } from "@temporalio/client";
import { endpointName } from "../fleet/names.js";
import { endpointOfStage, isStaged, promotionStages } from "../fleet/stages.js";
import { hasOwnEndpoint } from "../fleet/serving.js";
import type { FleetSpec } from "../fleet/spec.schema.js";
import { DEFAULT_PACE, type Publication } from "../workflows/messages.js";
import { answerRelease, isServing, rejectRequests, servingOutcome } from "./answer-releases.js";
import type { PublicationBatch } from "./artifacts.js";
import { atStage, type AtStage, type StageReach } from "./at-stage.js";
import { waitWhileClosed, whileClosed } from "./closed-stage.js";
import { settleCustomerEndpoints } from "./customer-endpoints.js";
import { collectConfigs } from "./endpoint-configs.js";
import { endpointParts } from "./endpoint-request.js";
import { refreshEndpoint } from "./endpoint-refresh.js";
import { inParallel } from "./in-parallel.js";
import { readCustomerEndpoint } from "./ledger/customer-endpoints.js";
import { readStage } from "./ledger/stages.js";
import { readReleasedSpec } from "./ledger/released-spec.js";
import {
  readAskedVersions,
  recordServing,
  type AskedVersion,
  type StageRef,
} from "./ledger/publications.js";
import { withHeartbeat } from "./patience.js";
import { putPointer } from "./pointers.js";
import { refreshPipelines } from "./pipeline-endpoints.js";
import type { TellDependencies } from "./tell-once.js";
import { removeUnusedEndpoints } from "./unused-endpoints.js";
import { verifyModel, type Verdict } from "./verification.js";

export interface EndpointDependencies extends StageReach, TellDependencies {
  readonly temporal: Client;
  /** At most so many seconds between looks at an endpoint that is being made or changed. */
  readonly pollSeconds: number;
  /** Clients follow the pointer within this time; by default that of a withdrawal. */
  readonly graceSeconds?: number;
}

type StageDependencies = AtStage<EndpointDependencies>;

export interface EnsureEndpointInput {
  readonly fleet: string;
  readonly stage: string;
  /** ISO time of this refresh, from the workflow: every attempt gives the endpoint config the same name. */
  readonly at: string;
  /** Artifacts were overwritten: the containers have to forget what they loaded, also when nothing else changed. */
  readonly reload: boolean;
}

/** In each of the refresh's five attempts: about as long in all as the other steps try. */
const CLOSED_STAGE_SECONDS = 60 * 60;
/** Each may keep one worker of the container busy with loading. */
const VERIFICATIONS_AT_A_TIME = 8;

export const createEndpointActivities = (dependencies: EndpointDependencies) => ({
  /**
   * Creates or updates the stage's endpoint; of a fleet with an endpoint for each customer, all of those that the
   * ledger wants otherwise than they are. Heartbeats until they are in service. A stage elsewhere that is closed is
   * waited for: people there need longer than a few attempts last.
   */
  async ensureEndpoint(input: EnsureEndpointInput): Promise<{ endpointName: string }> {
    const { fleet, stage } = input;
    const declared = await readStage(dependencies.ledger, { fleet, stage });
    const at = isStaged(promotionStages(declared.spec)) ? stage : null;
    const spec = await readReleasedSpec(dependencies.ledger, fleet, { stage: at });
    const progress = { done: 0, of: 0 };
    const { pollSeconds } = dependencies;
    const patience = { pollSeconds, forSeconds: CLOSED_STAGE_SECONDS };
    const refresh = async () => {
      const there = await atStage(dependencies, input);
      const { kind } = spec.endpoint;
      if (kind === "multi-model") await refreshShared(there, input, spec);
      await refreshPipelines(there, { fleet, stage });
      // Also of a fleet that has just changed its mind.
      await settleCustomerEndpoints(there, { fleet, stage }, (done, of) =>
        Object.assign(progress, { done, of }),
      );
    };
    await withHeartbeat(
      () => whileClosed(dependencies, { fleet, stage }, patience, refresh),
      () => progress,
    );
    return { endpointName: endpointName(fleet, stage) };
  },

  /**
   * Each model that answers like offline gets the pointer and serves; the others are rejected. Every release
   * workflow of the batch is signalled `published` with its outcome. Returns the customers whose version was refused.
   * Heartbeats.
   */
  verifyAndPoint: (batch: PublicationBatch): Promise<{ refused: readonly string[] }> =>
    waitWhileClosed(dependencies, batch, () => verifyBatch(dependencies, batch)),

  /** For a whole batch whose endpoint cannot serve: records the reason and signals `published`. */
  async rejectPublications({
    fleet,
    stage,
    publications,
    because,
  }: PublicationBatch & { readonly because: string }): Promise<void> {
    await rejectRequests(
      dependencies,
      { fleet, stage },
      publications.map((publication) => ({ ...publication, because })),
    );
  },
});
export type EndpointActivities = ReturnType<typeof createEndpointActivities>;

async function verifyBatch(
  dependencies: EndpointDependencies,
  { fleet, stage, publications }: PublicationBatch,
): Promise<{ refused: readonly string[] }> {
  const place = { fleet, stage };
  const there = await atStage(dependencies, place);
  const asked = await readAskedVersions(dependencies.ledger, place, publications);
  const failures: unknown[] = [];
  let done = 0;
  await withHeartbeat(
    () =>
      inParallel(VERIFICATIONS_AT_A_TIME, [...publications.entries()], async ([index, request]) => {
        // One customer's trouble is not the others': they are served, and only then is it thrown.
        await settle(there, place, request, asked[index]).catch((error: unknown) =>
          failures.push(error),
        );
        done += 1;
      }),
    () => ({ done, of: publications.length }),
  );
  // While they wait, nothing of this stage is published.
  const grace = dependencies.graceSeconds ?? DEFAULT_PACE.graceSeconds;
  await withHeartbeat(() => removeUnusedEndpoints(there, place, grace));
  log.info("publications settled", { ...place, of: done, failures: failures.length });
  if (failures.length > 0) throw failures[0];
  const settled = await readAskedVersions(dependencies.ledger, place, publications);
  const refused = settled.filter((version) => !isServing(version));
  return { refused: refused.map(({ customerKey }) => customerKey) };
}

/** One endpoint for all customers. */
async function refreshShared(
  dependencies: StageDependencies,
  { stage, at, reload }: EnsureEndpointInput,
  spec: FleetSpec,
): Promise<void> {
  const declared = spec.stages.find(({ name }) => name === stage);
  const endpoint = endpointOfStage(spec.endpoint, declared);
  const parts = endpointParts({ ...dependencies, spec: { ...spec, endpoint }, stage, at });
  const live = await refreshEndpoint(dependencies, parts, reload);
  if (live === parts.config.EndpointConfigName)
    await collectConfigs(dependencies.sagemaker, parts.endpointName, live);
}

/** One publication to its end; what an earlier attempt has ended is only told again. */
async function settle(
  dependencies: StageDependencies,
  place: StageRef,
  request: Publication,
  asked: AskedVersion | undefined,
): Promise<void> {
  const reject = (because: string) =>
    rejectRequests(dependencies, place, [{ ...request, because }]);
  if (!asked?.release || !asked.publication) return reject("its artifact was not copied");
  if (isServing(asked))
    return answerRelease(dependencies.temporal, request, servingOutcome(place, asked));
  if (asked.publication.state !== "copied")
    return reject(asked.publication.reason ?? "a newer version took its place");
  const missing = await missingEndpoint(dependencies, place, asked);
  if (missing !== null) return reject(missing);
  const verdict = await verifyModel(dependencies.runtime, {
    ...asked.address,
    rows: asked.verificationRows,
    predictions: asked.predictions,
  });
  if (verdict.kind === "rejected") return reject(verdict.because);
  const refused = await serve(dependencies, place, asked, verdict);
  if (refused !== null) return reject(refused);
  await answerRelease(dependencies.temporal, request, servingOutcome(place, asked));
}

/** Why the customer's own endpoint does not have the version; null when it has, or he has none of his own. */
async function missingEndpoint(
  { ledger }: StageDependencies,
  place: StageRef,
  { customerKey, version, serving }: AskedVersion,
): Promise<string | null> {
  if (!hasOwnEndpoint(serving.kind)) return null;
  const endpoint = await readCustomerEndpoint(ledger, place, customerKey);
  if (endpoint?.version !== version) return "its endpoint was given to another version meanwhile";
  return endpoint.state === "live" ? null : (endpoint.reason ?? "its endpoint was not made");
}

/** Why the version may not serve although it could; null when it does. */
async function serve(
  dependencies: StageDependencies,
  place: StageRef,
  asked: AskedVersion,
  { offline, served, latencyMs }: Verdict & { readonly kind: "same" },
): Promise<string | null> {
  const { customerKey, version, release } = asked;
  const verification = { offline, served, latencyMs };
  return recordServing(dependencies.ledger, place, { customerKey, version, verification }, () =>
    putPointer(dependencies, place, { ...asked, modelPackageArn: release?.modelPackageArn }),
  );
}
