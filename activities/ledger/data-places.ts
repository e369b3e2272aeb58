/** Where a customer's rows are, from its cycle `y` and the release `r` of its champion; `DataPlaces` as JSON. */
export const PLACES = `jsonb_build_object('prepared', y.prepared, 'transformed', y.transformed,
              'generation', y.generation, 'championGeneration', r.generation) as places`;
