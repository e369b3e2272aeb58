/** How a withdrawal asks the stages that have a version. */
import { condition } from "@temporalio/workflow";
import type { Pace } from "./messages.js";

export interface Asking {
  readonly ask: (stage: string) => Promise<void>;
  readonly hasAnswered: (stage: string) => boolean;
  readonly pace: Pace;
  /** Of this round; every round waits longer than the one before. */
  readonly factor: number;
}

/**
 * One round, production first: the stage before is asked when one has answered, or has had its head start, since one
 * that cannot be reached must not keep the others. Returns when all have answered, or not for so long that they are to be
 * asked again: somebody may have terminated an endpoint's workflow. `stages`: in the order in which they are asked.
 */
export async function askStages(
  stages: readonly string[],
  { ask, hasAnswered, pace, factor }: Asking,
): Promise<void> {
  for (const [place, stage] of stages.entries()) {
    await ask(stage);
    const next = stages[place + 1];
    if (next === undefined) break;
    await condition(() => hasAnswered(stage), pace.headStartSeconds * 1000, {
      summary: `before asking stage ${next}, too`,
    });
  }
  await condition(() => stages.every(hasAnswered), pace.guardSeconds * 1000 * factor, {
    summary: "before asking again",
  });
}
