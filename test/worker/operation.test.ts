/** What an orchestrator sees of a worker: its health pages, and that it ends in time. */
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { healthPages, type WorkerStates } from "../../worker/health.js";
import { plain, serveHttp, type Pages } from "../../worker/http-server.js";
import { endWithin, shutdownTimes } from "../../worker/shutdown.js";

async function served(pages: Pages) {
  const server = await serveHttp({ host: "127.0.0.1", port: 0 }, pages);
  onTestFinished(() => server.close());
  return (path: string, init?: RequestInit) =>
    fetch(`http://127.0.0.1:${server.port}${path}`, init);
}

describe("the health pages", () => {
  test.each<[ReturnType<WorkerStates>, number, number]>([
    [{}, 200, 503],
    [{ modelfleet: "INITIALIZED", "modelfleet-warehouse": "INITIALIZED" }, 200, 503],
    [{ modelfleet: "RUNNING", "modelfleet-warehouse": "INITIALIZED" }, 200, 503],
    [{ modelfleet: "RUNNING", "modelfleet-warehouse": "RUNNING" }, 200, 200],
    [{ modelfleet: "DRAINING", "modelfleet-warehouse": "STOPPING" }, 200, 503],
    [{ modelfleet: "RUNNING", "modelfleet-warehouse": "FAILED" }, 503, 503],
  ])("of workers that are %j: alive %i, ready %i", async (states, live, ready) => {
    const ask = await served(healthPages(() => states));
    expect((await ask("/health/live")).status).toBe(live);
    expect((await ask("/health/ready?verbose")).status).toBe(ready);
  });

  test("say which queue is how", async () => {
    const ask = await served(healthPages(() => ({ modelfleet: "RUNNING" })));
    expect(await (await ask("/health/ready")).text()).toBe("modelfleet running\n");
  });
});

describe("the HTTP server", () => {
  const pages: Pages = {
    "/fine": async () => plain(200, "fine\n"),
    "/broken": async () => {
      throw new Error("postgres://user:hunter2@host");
    },
  };

  test("has the pages that it is given, to look at only", async () => {
    const ask = await served(pages);
    expect(await (await ask("/fine")).text()).toBe("fine\n");
    expect((await ask("/fine", { method: "HEAD" })).status).toBe(200);
    expect((await ask("/fine", { method: "POST" })).status).toBe(405);
    expect((await ask("/other")).status).toBe(404);
    expect((await ask("/constructor")).status).toBe(404);
  });

  test("keeps to itself what went wrong", async () => {
    const answer = await (await served(pages))("/broken");
    expect(answer.status).toBe(500);
    expect(await answer.text()).toBe("this page cannot be made\n");
  });

  test("says when its port is taken", async () => {
    const server = await serveHttp({ host: "127.0.0.1", port: 0 }, pages);
    onTestFinished(() => server.close());
    await expect(serveHttp({ host: "127.0.0.1", port: server.port }, pages)).rejects.toThrow(
      /EADDRINUSE/,
    );
  });
});

describe("the end", () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());
  const sigterm = (): boolean => process.emit("SIGTERM");

  test("leaves 20 s to end and 20 s to listen, of 45", () => {
    expect(shutdownTimes(45)).toEqual({ shutdownGraceTime: 20_000, shutdownForceTime: 40_000 });
  });

  test("comes in time, counted from the first signal", () => {
    const end = vi.fn();
    onTestFinished(endWithin({ seconds: 45, serves: () => true, end }));
    vi.advanceTimersByTime(100_000);
    sigterm();
    vi.advanceTimersByTime(30_000);
    sigterm();
    vi.advanceTimersByTime(14_999);
    expect(end).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    expect(end).toHaveBeenCalledOnce();
  });

  test("comes at once while nothing is served, and not when all has ended by itself", () => {
    const end = vi.fn();
    const undo = endWithin({ seconds: 45, serves: () => false, end });
    sigterm();
    expect(end).toHaveBeenCalledOnce();
    undo();
    const later = vi.fn();
    const undoLater = endWithin({ seconds: 45, serves: () => true, end: later });
    sigterm();
    undoLater();
    vi.advanceTimersByTime(60_000);
    expect(later).not.toHaveBeenCalled();
  });
});
