/** One round of a watcher: what is throttled is made up for by the next, which is smaller, since the budget has learnt. */
import { log } from "@temporalio/activity";
import { FAILURES } from "../fleet/errors.js";
import { translateError } from "./translate-error.js";

/** Undefined when the call was throttled; throws every other failure, translated. */
export async function unlessThrottled<T>(
  watcher: "job watcher" | "registry watcher",
  work: () => Promise<T>,
): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    const failure = translateError(error);
    const type = failure instanceof Error && "type" in failure ? failure.type : undefined;
    if (type !== FAILURES.throttled) throw failure;
    log.info(`${watcher} throttled`);
    return undefined;
  }
}
