/** What is asked of an endpoint, in any order: nothing is lost, nothing denied is published, nobody is served twice. */
import fc from "fast-check";
import { expect, test } from "vitest";
import {
  accept,
  type Batch,
  carryOver,
  deny,
  type Desk,
  isAsked,
  openDesk,
  openPublications,
  openWithdrawals,
  putBack,
  takeBatch,
  takeDenied,
} from "../../workflows/desk.js";
import type { Publication, ServeEndpointInput, Withdrawal } from "../../workflows/messages.js";
import { testPace } from "./builders.js";

type Named = Pick<Publication, "customerKey" | "version">;
const keyOf = ({ customerKey, version }: Named): string => `${customerKey}/${version}`;
const keysOf = (all: readonly Named[]): string[] => all.map(keyOf);

const input: ServeEndpointInput = { fleet: "f", stage: "s", pace: testPace };
const publication = (named: Named): Publication => ({
  ...named,
  releaseWorkflowId: `release/${keyOf(named)}`,
});
const withdrawal = (named: Named): Withdrawal => ({
  ...named,
  withdrawWorkflowId: `withdraw/${keyOf(named)}`,
});

const named = fc.record({
  customerKey: fc.constantFrom("a", "b", "c"),
  version: fc.integer({ min: 1, max: 4 }),
});
/** What the workflow does with its desk between two signals. */
const step = fc.oneof(
  fc.record({ kind: fc.constantFrom("publish" as const, "deny" as const), named }),
  fc.record({ kind: fc.constantFrom("batch" as const, "move" as const, "carry" as const) }),
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

interface Course {
  desk: Desk;
  readonly asked: Set<string>;
  readonly denied: Set<string>;
  readonly answered: Set<string>;
  readonly withdrawn: Set<string>;
}

function follow(steps: readonly Step[], onBatch: (batch: Batch, course: Course) => void): Course {
  const course: Course = {
    desk: openDesk(input),
    asked: new Set(),
    denied: new Set(),
    answered: new Set(),
    withdrawn: new Set(),
  };
  for (const one of steps) make(one, course, onBatch);
  return course;
}

function make(
  one: Step,
  course: Course,
  onBatch: (batch: Batch, course: Course) => void = () => {},
): void {
  const { desk, asked, denied, answered, withdrawn } = course;
  switch (one.kind) {
    case "publish":
      accept(desk, publication(one.named));
      asked.add(keyOf(one.named));
      return;
    case "deny":
      deny(desk, withdrawal(one.named));
      denied.add(keyOf(one.named));
      return;
    case "batch": {
      const batch = takeBatch(desk);
      onBatch(batch, course);
      const { publications, replaced, cancelled, withdrawals } = batch;
      for (const key of keysOf([...publications, ...replaced, ...cancelled])) answered.add(key);
      for (const key of keysOf(withdrawals)) withdrawn.add(key);
      return;
    }
    case "move":
      // None of them is done by a pointer: all of them join the next batch.
      putBack(desk, takeDenied(desk));
      return;
    case "carry":
      course.desk = openDesk({ ...input, ...carryOver(desk) });
      return;
  }
}

test("nothing is lost, whatever comes when", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const { desk, asked, denied, answered, withdrawn } = follow(steps, () => {});
      const open = keysOf(openPublications(desk));
      for (const key of asked) expect(answered.has(key) || open.includes(key)).toBe(true);
      const left = keysOf(openWithdrawals(desk));
      for (const key of denied) expect(withdrawn.has(key) || left.includes(key)).toBe(true);
    }),
  );
});

test("a batch holds each customer once, and nothing that is denied and not withdrawn yet", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      follow(steps, ({ publications, withdrawals }, { desk }) => {
        const customers = [...publications, ...withdrawals].map((one) => one.customerKey);
        expect(new Set(customers).size).toBe(customers.length);
        const denied = keysOf([...withdrawals, ...openWithdrawals(desk)]);
        for (const key of keysOf(publications)) expect(denied).not.toContain(key);
      });
    }),
  );
});

test("batches come to an end once nothing is asked any more", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const course = follow(steps, () => {});
      // One withdrawal of a customer at a time, four versions, and one batch for what is published.
      for (let turn = 0; turn < 6; turn++) {
        make({ kind: "move" }, course);
        make({ kind: "batch" }, course);
      }
      expect(isAsked(course.desk)).toBe(false);
      expect(openWithdrawals(course.desk)).toEqual([]);
    }),
  );
});
