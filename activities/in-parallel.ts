/** Does one thing for each of many, a few at a time. */

/** Stops taking on more after the first failure, waits for those under way, and throws it. */
export async function inParallel<T>(
  atATime: number,
  all: readonly T[],
  one: (each: T) => Promise<void>,
): Promise<void> {
  const queue = all.values();
  const failures: unknown[] = [];
  const lane = async () => {
    for (const each of queue) {
      if (failures.length > 0) return;
      await one(each).catch((error: unknown) => failures.push(error));
    }
  };
  await Promise.all(Array.from({ length: Math.min(atATime, all.length) }, lane));
  if (failures.length > 0) throw failures[0];
}
