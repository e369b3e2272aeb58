/** The stable types that failures carry, and the error with which the domain refuses bad input. */

/**
 * Alerts, exit codes and docs/reference/errors.md match on these: treat them as an API.
 * An activity throws `ApplicationFailure.create({ type: FAILURES.…, message, nonRetryable, details: [{ hint }] })`.
 */
export const FAILURES = {
  specInvalid: "SpecInvalid",
  warehouseUnreachable: "WarehouseUnreachable",
  queryInvalid: "QueryInvalid",
  noRows: "NoRows",
  dataInvalid: "DataInvalid",
  preparationFailed: "PreparationFailed",
  trainingAlgorithmError: "TrainingAlgorithmError",
  trainingClientError: "TrainingClientError",
  trainingInternalError: "TrainingInternalError",
  trainingCapacityError: "TrainingCapacityError",
  trainingStopped: "TrainingStopped",
  jobNameTaken: "JobNameTaken",
  quotaFull: "QuotaFull",
  throttled: "Throttled",
  accessDenied: "AccessDenied",
  storageFull: "StorageFull",
  accountMismatch: "AccountMismatch",
  endpointFailed: "EndpointFailed",
  withdrawalRefused: "WithdrawalRefused",
  fleetBusy: "FleetBusy",
  cycleCollected: "CycleCollected",
  failureBudgetExceeded: "FailureBudgetExceeded",
  budgetExceeded: "BudgetExceeded",
  notificationFailed: "NotificationFailed",
  /** An outside effect gave no answer for as long as it was retried. */
  timedOut: "TimedOut",
  /** A fault that has no type of its own: its message and stack are in the workflow's history. */
  unexpected: "Unexpected",
} as const;

export type FailureType = (typeof FAILURES)[keyof typeof FAILURES];

/** Bad input that no retry mends: what is wrong with which value, and in `hint` what to do. */
export class SpecError extends Error {
  readonly type: FailureType = FAILURES.specInvalid;
  readonly hint: string;

  constructor(message: string, hint: string) {
    super(message);
    this.name = "SpecError";
    this.hint = hint;
  }
}

/** A training job that completed without the figures that every model is judged by. */
export class MetricsError extends Error {
  readonly type: FailureType = FAILURES.trainingAlgorithmError;
  readonly hint: string;

  constructor(message: string, hint: string) {
    super(message);
    this.name = "MetricsError";
    this.hint = hint;
  }
}
