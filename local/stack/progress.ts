/** What a stack tells while it works: one event per step of a part, for a live view or plain lines. */
export interface Progress {
  /** `postgres`, `temporal`, `s3`, `sagemaker`, `python` or the stack itself. */
  readonly part: string;
  readonly state: "working" | "ready" | "failed";
  readonly message: string;
  /** Since the part's start. */
  readonly seconds?: number;
}

export type OnProgress = (progress: Progress) => void;
