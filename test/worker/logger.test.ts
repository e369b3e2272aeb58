/** What a worker logs: one JSON line an event, whose it is, and nothing secret. */
import { MockActivityEnvironment } from "@temporalio/testing";
import type { Logger } from "@temporalio/worker";
import { describe, expect, test, vi } from "vitest";
import { jsonLogger } from "../../worker/logger.js";
import { subjectOf } from "../../worker/log-subject.js";

function logged(write: (log: Logger) => void, lines: string[]): unknown[] {
  write(jsonLogger("info", { write: (line) => void lines.push(line) }));
  return lines.map((line) => JSON.parse(line) as unknown);
}

describe("a log line", () => {
  test("is one JSON document with level, time, message and fields", () => {
    const lines: string[] = [];
    const [line] = logged(
      (log) => void log.info("job adopted", { fleet: "delays", jobs: 2 }),
      lines,
    );
    expect(line).toMatchObject({ level: 30, msg: "job adopted", fleet: "delays", jobs: 2 });
    expect(line).toHaveProperty("time", expect.stringMatching(/^\d{4}-\d\d-\d\dT/));
    expect(lines[0]?.trimEnd()).not.toContain("\n");
  });

  test("has no credentials, wherever they stand", () => {
    const url = "postgres://reader:hunter2@db:5432/warehouse";
    const error = new Error(`cannot reach ${url}`, { cause: new Error(url) });
    const lines: string[] = [];
    logged(
      (log) => void log.warn(`no answer from ${url}`, { error, url, tried: [url, { url }] }),
      lines,
    );
    expect(lines[0]).toContain("reader:…@db");
    expect(lines[0]).not.toContain("hunter2");
  });

  test("below the level is not written, and numbers too large for JSON are", () => {
    const lines: string[] = [];
    logged((log) => {
      log.debug("not this");
      log.error("this", { bytes: 2n ** 64n });
    }, lines);
    expect(lines.map((line) => JSON.parse(line) as unknown)).toMatchObject([
      { level: 50, msg: "this", bytes: "18446744073709551616" },
    ]);
  });
});

describe("whose an activity is", () => {
  test("is told by what it was asked", () => {
    const input = { fleet: "delays", cycle: "2013-07-01", customerKey: "xna", round: 0 };
    expect(subjectOf([input])).toEqual({ fleet: "delays", cycle: "2013-07-01", customer: "xna" });
  });

  test.each([[[]], [[null]], [["delays"]], [[{ fleet: 7 }]]])("is unknown of %j", (args) => {
    expect(subjectOf(args)).toEqual({});
  });

  test("stands in the lines that it logs", async () => {
    const { logSubject } = await import("../../worker/log-subject.js");
    const { log } = await import("@temporalio/activity");
    const info = vi.fn();
    const logger = {
      info,
      log: vi.fn(),
      trace: vi.fn(),
      debug: vi.fn(),
      warn: vi.fn(),
      error: vi.fn(),
    };
    const environment = new MockActivityEnvironment({}, { logger, interceptors: [logSubject] });
    const work = async (input: { readonly fleet: string; readonly customerKey: string }) => {
      log.info("done");
      return input;
    };
    await environment.run(work, { fleet: "delays", customerKey: "xna" });
    const said = [
      ...info.mock.calls,
      ...logger.log.mock.calls.map(([, ...rest]) => rest as unknown[]),
    ];
    expect(said).toContainEqual([
      "done",
      expect.objectContaining({ fleet: "delays", customer: "xna" }),
    ]);
  });
});
