/** Works on many things, a few at a time. */
import { CancellationScope } from "@temporalio/workflow";

/**
 * At most `size` calls of `work` are open at a time; the next begins as one ends. One that throws does not
 * stop the others: the first error is thrown when all have ended. Cancellation begins no further ones.
 */
export async function slidingWindow<T>(
  all: readonly T[],
  size: number,
  work: (one: T) => Promise<void>,
): Promise<void> {
  const scope = CancellationScope.current();
  const queue = all.values(); // Shared: each lane takes what is next.
  const errors: unknown[] = [];
  const lane = async (): Promise<void> => {
    for (const one of queue) {
      try {
        await work(one);
      } catch (error) {
        errors.push(error);
      }
      if (scope.consideredCancelled) return;
    }
  };
  await Promise.all(Array.from({ length: Math.min(size, all.length) }, lane));
  if (errors.length > 0) throw errors[0];
}
