/** Errors that a person reads: one sentence with the actual values, and what to do about it. */

export class ClientError extends Error {
  /** An action, such as a command to run. */
  readonly hint: string | undefined;

  constructor(message: string, hint?: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = "ClientError";
    this.hint = hint;
  }
}

/** The command line itself is wrong; nothing was tried. */
export class UsageError extends ClientError {
  constructor(message: string, hint?: string) {
    super(message, hint);
    this.name = "UsageError";
  }
}

/** The message of whatever was thrown, on one line. Node's connection errors keep theirs in `errors`. */
export function messageOf(thrown: unknown): string {
  if (thrown instanceof AggregateError && thrown.message === "") {
    return thrown.errors.map(messageOf).join("; ");
  }
  const message = thrown instanceof Error ? thrown.message || thrown.name : String(thrown);
  return message.replace(/\s+/g, " ").trim();
}

/** Node's and Postgres' stable code, such as ECONNREFUSED or 42P01, also when it is nested. */
export function codeOf(thrown: unknown): string | undefined {
  if (typeof thrown !== "object" || thrown === null) return undefined;
  if ("code" in thrown && typeof thrown.code === "string") return thrown.code;
  return thrown instanceof AggregateError ? codeOf(thrown.errors[0]) : undefined;
}

/** What an error says to do: ours, the domain's and Postgres' carry it as `hint`. */
export function hintOf(thrown: unknown): string | undefined {
  if (!(thrown instanceof Error) || !("hint" in thrown)) return undefined;
  return typeof thrown.hint === "string" && thrown.hint !== "" ? thrown.hint : undefined;
}
