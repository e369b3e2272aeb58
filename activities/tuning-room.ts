/** Refuses jobs that could never start, because they are wider than the whole quota. */
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

/** Throws SpecInvalid, not retryable: each instance of a sharded job takes a place. */
export function assertInstances(instances: number, maxTrainingJobs: number): void {
  if (instances <= maxTrainingJobs) return;
  throw permanent(FAILURES.specInvalid, {
    message: `training.instances asks ${instances} instances, the worker's quota is ${maxTrainingJobs}`,
    hint: "lower training.instances, or raise MODELFLEET_MAX_TRAINING_JOBS up to the account's quota",
  });
}

/** Throws SpecInvalid, not retryable: an instance without a customer would be paid for doing nothing. */
export function assertShared(customers: number, instances: number): void {
  if (customers === 0 || customers >= instances) return;
  throw permanent(FAILURES.specInvalid, {
    message:
      `training.instances asks ${instances} instances, and this cycle trains ` +
      `${customers} customer${customers === 1 ? "" : "s"}: some instances would have no file to train on`,
    hint: "lower training.instances to the number of customers, or train unchanged ones too with --force",
  });
}
