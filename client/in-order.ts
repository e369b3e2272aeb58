/** Does one thing for each of many, a few at a time, and gives what comes of it in their order. */

type Ended<R> =
  | { readonly kind: "done"; readonly result: R }
  | { readonly kind: "failed"; readonly failure: unknown };

/**
 * Takes the next of `all` when one that is under way has come to its end. After a failure no more are begun; what was
 * done beside it is given out, and then it is thrown. Throws at once what `all` throws.
 */
export async function* inOrder<T, R>(
  atATime: number,
  all: AsyncIterable<T> | Iterable<T>,
  one: (each: T) => Promise<R>,
): AsyncGenerator<R, void> {
  // Never rejected: a failure that nobody waits for yet would end the process.
  const underWay: Promise<Ended<R>>[] = [];
  const failures: unknown[] = [];
  for await (const each of all) {
    underWay.push(
      one(each).then(
        (result) => ({ kind: "done", result }),
        (failure: unknown) => ({ kind: "failed", failure }),
      ),
    );
    if (underWay.length < atATime) continue;
    const ended = await underWay.shift();
    if (ended?.kind === "done") yield ended.result;
    else failures.push(ended?.failure);
    if (failures.length > 0) break;
  }
  for (const ended of await Promise.all(underWay))
    if (ended.kind === "done") yield ended.result;
    else failures.push(ended.failure);
  if (failures.length > 0) throw failures[0];
}
