/** Works on several items at a time, and gives the results in the order of the items. */

/** Takes a further item only when fewer than `width` results are under way or wait to be taken. */
export async function* inOrder<Item, Result>(
  items: AsyncIterable<Item>,
  width: number,
  work: (item: Item) => Promise<Result>,
): AsyncGenerator<Result> {
  const underWay: Promise<Result>[] = [];
  for await (const item of items) {
    const result = work(item);
    result.catch(() => undefined); // Thrown below, when its turn comes.
    underWay.push(result);
    const [first] = underWay;
    if (underWay.length < width || first === undefined) continue;
    yield await first;
    void underWay.shift();
  }
  for (const result of underWay) yield await result;
}
