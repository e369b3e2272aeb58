/** A bounded number of things at a time; who waits is served in order. */

export interface Slots {
  /** Resolves to the function that gives the slot back; rejects when the signal aborts the wait. */
  acquire(signal: AbortSignal): Promise<() => void>;
}

export function createSlots(count: number): Slots {
  let free = count;
  const waiting = new Set<() => void>();

  const release = (): void => {
    const [next] = waiting;
    if (next === undefined) free++;
    else next();
  };

  const acquire = (signal: AbortSignal): Promise<() => void> =>
    new Promise((resolve, reject) => {
      const giveUp = () => {
        waiting.delete(take);
        reject(new Error("no longer wanted", { cause: signal.reason }));
      };
      const take = () => {
        waiting.delete(take);
        signal.removeEventListener("abort", giveUp);
        resolve(once(release));
      };
      if (signal.aborted) return giveUp();
      signal.addEventListener("abort", giveUp, { once: true });
      if (free === 0) return void waiting.add(take);
      free--;
      take();
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
