/** Starts releases for tests, with the activities that a test wants otherwise. */
import type { WorkflowHandle } from "@temporalio/client";
import { type ReleaseModelInput, workflowIds } from "../../workflows/messages.js";
import type { releaseModel } from "../../workflows/release-model.js";
import { searchAttributes } from "../../workflows/search-attributes.js";
import { aReleaseInput } from "./builders.js";
import type { Temporal } from "./environment.js";
import { createFakes, type FakeChoices, type Fakes } from "./fakes.js";

export interface StartedRelease {
  readonly input: ReleaseModelInput;
  readonly fakes: Fakes;
  readonly handle: WorkflowHandle<typeof releaseModel>;
  /** What was recorded, in order. */
  recorded(): unknown[];
  /** The live text on the workflow's page in the web UI. */
  page(): Promise<string>;
}

export async function startRelease(
  temporal: Temporal,
  changes: Partial<ReleaseModelInput> = {},
  choices: FakeChoices = {},
): Promise<StartedRelease> {
  const input = aReleaseInput(changes);
  const fakes: Fakes = createFakes(temporal.client(), () => taskQueue, choices);
  const { taskQueue } = await temporal.worker(fakes.activities);
  const handle = await temporal.client().workflow.start<typeof releaseModel>("releaseModel", {
    taskQueue,
    workflowId: workflowIds.releaseModel(input.fleet, input.customerKey, input.version),
    args: [input],
    typedSearchAttributes: searchAttributes({
      fleet: input.fleet,
      approvalState: input.approvedBy === undefined ? "PENDING" : "APPROVED",
    }),
  });
  return {
    input,
    fakes,
    handle,
    recorded: () => fakes.named("recordDecision"),
    page: async () => JSON.stringify(await handle.query<unknown>("__temporal_workflow_metadata")),
  };
}

/** A step that goes on when the test says so: the moment between two others is held open. */
export function held(): { readonly step: () => Promise<void>; readonly letGo: () => void } {
  let letGo: () => void = () => undefined;
  const gone = new Promise<void>((resolve) => {
    letGo = resolve;
  });
  return { step: () => gone, letGo: () => letGo() };
}
