import { expect, test } from "vitest";
import { carrierOf, readCarrier } from "../../fleet/trace-context.js";

const context = { traceId: "a".repeat(32), spanId: "b".repeat(16), sampled: true };

test("what travels in a header comes out as it went in", () => {
  expect(carrierOf(context)).toEqual({ traceparent: `00-${"a".repeat(32)}-${"b".repeat(16)}-01` });
  for (const sampled of [true, false])
    expect(readCarrier(carrierOf({ ...context, sampled }))).toEqual({ ...context, sampled });
});

test.each([
  ["nothing", null],
  ["text", "00-a"],
  ["another carrier", { b3: "1" }],
  ["a number", { traceparent: 7 }],
  ["too short an id", { traceparent: `00-${"a".repeat(31)}-${"b".repeat(16)}-01` }],
  ["no trace", { traceparent: `00-${"0".repeat(32)}-${"b".repeat(16)}-01` }],
  ["no span", { traceparent: `00-${"a".repeat(32)}-${"0".repeat(16)}-01` }],
])("%s names no trace", (_title, carrier) => {
  expect(readCarrier(carrier)).toBeNull();
});
