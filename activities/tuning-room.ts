/** Refuses searches that could never start, because they are wider than the whole quota. */
import { FAILURES } from "../fleet/errors.js";
import { permanent } from "./application-failure.js";

/** Throws SpecInvalid, not retryable: more training jobs at a time than there are places would wait for ever. */
export function assertRoom(parallel: number, maxTrainingJobs: number): void {
  if (parallel <= maxTrainingJobs) return;
  throw permanent(FAILURES.specInvalid, {
    message: `tuning.parallel asks ${parallel} training jobs at a time, the worker's quota is ${maxTrainingJobs}`,
    hint: "lower tuning.parallel, or raise MODELFLEET_MAX_TRAINING_JOBS up to the account's quota",
  });
}
