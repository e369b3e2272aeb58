/** One process at a time starts or stops a stack. */
import type { LockOptions } from "./lock.js";
import type { StackFolder } from "./place.js";
import type { OnProgress } from "./progress.js";

/** The first start may install packages over a slow line. */
const timeoutSeconds = 20 * 60;

export function stackLock(folder: StackFolder, onProgress: OnProgress): LockOptions {
  return {
    path: folder.lockFile,
    timeoutSeconds,
    purpose: `starting or stopping the stack "${folder.name}"`,
    onWait: (message) => onProgress({ part: "stack", state: "working", message }),
  };
}
