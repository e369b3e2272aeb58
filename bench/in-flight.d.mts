export function inFlight(
  bounds: { readonly count: number; readonly limit: number },
  work: (number: number) => Promise<void>,
): Promise<void>;
