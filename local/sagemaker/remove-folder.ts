/** Removes the folder of a job that has ended. */
import { rm } from "node:fs/promises";

/** Tries again for some seconds: what a killed script has started may write for a moment longer. */
export const removeFolder = (folder: string): Promise<void> =>
  rm(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
