/** Deletes something in SageMaker that an earlier attempt may have deleted. */
import { refusedWith } from "./endpoint-refresh.js";
import { patiently } from "./patience.js";

export async function unlessGone(remove: () => Promise<unknown>): Promise<void> {
  try {
    await patiently(remove);
  } catch (error) {
    if (!refusedWith(error, /^Could not find |does not exist/)) throw error;
  }
}
