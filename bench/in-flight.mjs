/**
 * Runs a numbered piece of work `count` times, at most `limit` at a time. JavaScript with its types beside it, because
 * contenders run it too, in processes without a TypeScript compiler.
 */
export async function inFlight({ count, limit }, work) {
  let next = 0;
  const lane = async () => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: Math.min(limit, count) }, lane));
}
