/** Why a job failed, as DescribeTrainingJob's FailureReason tells it. */

/** The reason begins with its class: AlgorithmError, ClientError, InternalServerError or CapacityError. */
export class JobFailure extends Error {
  override readonly name = "JobFailure";

  get isInternal(): boolean {
    return this.message.startsWith("InternalServerError");
  }
}

/** Spot capacity was taken back: no failure, the job starts again when there is some. */
export class SpotInterruption extends Error {
  override readonly name = "SpotInterruption";
}

/** AWS's words for its own faults; what happened stands in the server's log. */
export const internalServerError =
  "InternalServerError: We encountered an internal error. Please try again.";

/** A job that ran while the server died: to its owner that is a lost machine. */
export const instanceLost = `${internalServerError} (instance lost: the local SageMaker server ended while the job ran)`;

export const hostLost = (host: string) =>
  new JobFailure(`${internalServerError} (instance lost: ${host})`);
