/** The error of the embedded stack: a stable type, one sentence, and what the person can do. */
export type StackErrorType =
  | "PortInUse"
  | "PartDied"
  | "PartNotReady"
  | "PythonMissing"
  | "PythonPackagesFailed"
  | "ToolMissing"
  | "PlatformUnsupported"
  | "PostgresUserMissing"
  | "StackBusy"
  | "StackMissing"
  | "StackSettingInvalid"
  | "StackFolderForeign"
  | "FolderUnwritable"
  | "PartUnknown"
  | "ConfirmationNeeded";

export class StackError extends Error {
  readonly type: StackErrorType;
  readonly hint: string;

  constructor(type: StackErrorType, message: string, hint: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "StackError";
    this.type = type;
    this.hint = hint;
  }
}
