/** The error that tells all that is wrong with one fleet file. */
import { ClientError } from "./errors.js";

export interface SpecIssue {
  /** Path in the declaration, such as `source.window.months`; the empty path is the whole. */
  readonly field: string;
  /** The value found there, as JSON; absent when the field is missing. */
  readonly value?: string;
  readonly problem: string;
  readonly hint?: string;
}

export class FleetFileInvalid extends ClientError {
  readonly path: string;
  readonly issues: readonly SpecIssue[];

  constructor(path: string, issues: readonly SpecIssue[]) {
    super(`${path} has ${issues.length === 1 ? "an error" : `${issues.length} errors`}`);
    this.name = "FleetFileInvalid";
    this.path = path;
    this.issues = issues;
  }
}
