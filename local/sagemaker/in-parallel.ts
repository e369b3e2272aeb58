/** Works through a sequence, a bounded number of elements at a time: as long as it may be, memory stays flat. */

/**
 * Takes the next element when a worker is free. Rejects with the first error once the workers that were
 * busy then are done: nothing goes on behind the caller's back.
 */
export async function inParallel<T>(
  elements: Iterable<T> | AsyncIterable<T>,
  workers: number,
  work: (element: T) => Promise<void>,
): Promise<void> {
  const next = takeFrom(elements);
  const errors: unknown[] = [];
  const workThrough = async (): Promise<void> => {
    while (errors.length === 0) {
      const taken = await next();
      if (taken.done === true) return;
      await work(taken.value);
    }
  };
  const guarded = () => workThrough().catch((error: unknown) => void errors.push(error));
  await Promise.all(Array.from({ length: workers }, guarded));
  if (errors.length > 0) throw errors[0];
}

function takeFrom<T>(elements: Iterable<T> | AsyncIterable<T>): () => Promise<IteratorResult<T>> {
  if (Symbol.asyncIterator in elements) {
    const iterator = elements[Symbol.asyncIterator]();
    return () => iterator.next();
  }
  const iterator = elements[Symbol.iterator]();
  return async () => iterator.next();
}
