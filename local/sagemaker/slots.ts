/** A bounded number of things at a time; who waits is served in order. */

export interface Slots {
  /**
   * Takes so many slots together (default 1; more than there are: all of them). Resolves to the function
   * that gives them back; rejects when the signal aborts the wait.
   */
  acquire(signal: AbortSignal, count?: number): Promise<() => void>;
}

interface Waiting {
  readonly count: number;
  readonly take: () => void;
}

export function createSlots(total: number): Slots {
  let free = total;
  const waiting = new Set<Waiting>();

  /** The first in line is served first, also when somebody behind it would need less: nobody starves. */
  const serve = (): void => {
    for (const next of waiting) {
      if (next.count > free) return;
      free -= next.count;
      next.take();
    }
  };
  const release = (count: number): void => {
    free += count;
    serve();
  };

  const acquire = (signal: AbortSignal, wanted = 1): Promise<() => void> =>
    new Promise((resolve, reject) => {
      const count = Math.min(wanted, total);
      const giveUp = () => {
        waiting.delete(place);
        reject(new Error("no longer wanted", { cause: signal.reason }));
        serve(); // Those behind may need less than this one did.
      };
      const take = () => {
        waiting.delete(place);
        signal.removeEventListener("abort", giveUp);
        resolve(once(() => release(count)));
      };
      const place: Waiting = { count, take };
      if (signal.aborted) return giveUp();
      signal.addEventListener("abort", giveUp, { once: true });
      waiting.add(place);
      serve();
    });
  return { acquire };
}

/** A slot that is given back twice would let one more in for ever. */
function once(action: () => void): () => void {
  let done = false;
  return () => {
    if (!done) action();
    done = true;
  };
}
