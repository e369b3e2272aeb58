/** The only workflow that touches one stage's endpoint of one fleet: publishes approved versions, in batches. */
import {
  CancellationScope,
  condition,
  continueAsNew,
  isCancellation,
  log,
  setCurrentDetails,
  setHandler,
  workflowInfo,
} from "@temporalio/workflow";
import { LIMITS } from "../fleet/limits.js";
import { artifacts, messenger, refresh, verification } from "./activities.js";
import { failureOf } from "./failures.js";
import { type Publication, publish, type ServeEndpointInput } from "./messages.js";

/**
 * Started by the first publication, ends when none came for a while. Every publication that was ever signalled
 * gets an outcome: it is served, rejected, replaced by a newer version, or carried into the next run.
 */
export async function serveEndpoint(input: ServeEndpointInput): Promise<void> {
  const desk: Desk = { wanted: new Map(), replaced: [] };
  for (const publication of input.wanted ?? []) accept(desk, publication);
  setHandler(publish, (publication) => accept(desk, publication));
  try {
    await servePublications(input, desk);
  } catch (error) {
    if (!isCancellation(error)) throw error;
    const left = open(desk);
    if (left.length > 0)
      await CancellationScope.nonCancellable(() =>
        reject(input, left, "the endpoint's workflow was cancelled"),
      );
    throw error;
  }
}

/** What has been asked for and not been answered. */
interface Desk {
  /** By customer, the newest version. */
  readonly wanted: Map<string, Publication>;
  /** Older versions, each of whose releases still waits for an answer. */
  replaced: Publication[];
}

function accept(desk: Desk, asked: Publication): void {
  const other = desk.wanted.get(asked.customerKey);
  if (other === undefined || asked.version >= other.version)
    desk.wanted.set(asked.customerKey, asked);
  // The same version asked for twice is one wish.
  if (other === undefined || asked.version === other.version) return;
  desk.replaced.push(asked.version > other.version ? other : asked);
}

const open = (desk: Desk): Publication[] => [...desk.replaced, ...desk.wanted.values()];

async function servePublications(input: ServeEndpointInput, desk: Desk): Promise<void> {
  const { collectSeconds, idleSeconds } = input.pace;
  const isAsked = (): boolean => desk.wanted.size > 0;
  const isFull = (): boolean => desk.wanted.size >= LIMITS.publicationsPerBatch;
  for (;;) {
    setCurrentDetails("Nothing to publish");
    await condition(isAsked, idleSeconds * 1000, { summary: "idle" });
    // Ends only with an empty desk; a signal that arrives with the end makes the server refuse the end.
    if (!isAsked()) return;
    // What arrives within this time shares one pass; a full batch need not wait.
    await condition(isFull, collectSeconds * 1000, { summary: "collect publications" });
    // A batch that has begun is brought to its end: half of it may serve already.
    await CancellationScope.nonCancellable(() => serveBatch(input, desk));
    if (workflowInfo().continueAsNewSuggested)
      await continueAsNew<typeof serveEndpoint>({ ...input, wanted: open(desk) });
  }
}

async function serveBatch(input: ServeEndpointInput, desk: Desk): Promise<void> {
  const replaced = desk.replaced;
  const batch = [...desk.wanted.values()].slice(0, LIMITS.publicationsPerBatch);
  // Off the desk before the first wait: a newer version that comes meanwhile replaces none of these.
  desk.replaced = [];
  for (const { customerKey } of batch) desk.wanted.delete(customerKey);
  setCurrentDetails(`Publishing ${batch.length} versions, ${desk.wanted.size} more wanted`);
  if (replaced.length > 0) await reject(input, replaced, "a newer version took its place");
  await serve(input, batch);
}

/** One version's fault is told by the activities to its release; what fails here concerns all of them. */
async function serve(input: ServeEndpointInput, batch: readonly Publication[]): Promise<void> {
  const { fleet, stage } = input;
  let left = batch;
  try {
    const { rejected } = await artifacts.copyArtifacts({ fleet, stage, publications: batch });
    left = batch.filter(
      ({ customerKey, version }) =>
        !rejected.some((one) => one.customerKey === customerKey && one.version === version),
    );
    if (left.length === 0) return;
    await refresh.ensureEndpoint({ fleet, stage });
    await verification.verifyAndPoint({ fleet, stage, publications: left });
  } catch (error) {
    const failure = failureOf(error);
    log.error("publications rejected", { fleet, stage, publications: left.length, ...failure });
    await reject(input, left, failure.message);
  }
}

async function reject(
  { fleet, stage }: ServeEndpointInput,
  publications: readonly Publication[],
  because: string,
): Promise<void> {
  await messenger.rejectPublications({ fleet, stage, publications, because });
}
