/** The errors that the server answers with: AWS's code, HTTP status and text. */

export class AwsError extends Error {
  override readonly name = "AwsError";

  readonly code: string;
  readonly status: number;
  /** Further members of the answer's body. */
  readonly extra: Readonly<Record<string, string | number>>;

  constructor(code: string, message: string, status = 400, extra: AwsError["extra"] = {}) {
    super(message);
    this.code = code;
    this.status = status;
    this.extra = extra;
  }
}

export const validationError = (message: string) => new AwsError("ValidationException", message);

export const accessDenied = (message: string) => new AwsError("AccessDeniedException", message);

export const conflict = (message: string) => new AwsError("ConflictException", message);

export const throttled = () => new AwsError("ThrottlingException", "Rate exceeded");

/** What a principal may not do, in IAM's words. */
export const notAuthorized = (principalArn: string, action: string, resource: string) =>
  accessDenied(
    `User: ${principalArn} is not authorized to perform: ${action} on resource: ${resource}`,
  );
