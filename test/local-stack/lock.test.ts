import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { withLock } from "../../local/stack/lock.js";
import { recordOf, runScript, SLEEPS } from "./processes.js";
import { temporaryFolder } from "./temporary-folder.js";

function aLock(changes: { timeoutSeconds?: number } = {}) {
  const path = join(temporaryFolder(), "lock");
  return { path, timeoutSeconds: 30, purpose: "testing", ...changes };
}

test("many who want the lock at once get it one after the other", async () => {
  const lock = aLock();
  let inside = 0;
  const most = await Promise.all(
    Array.from({ length: 8 }, () =>
      withLock(lock, async () => {
        inside += 1;
        const seen = inside;
        await Promise.resolve();
        inside -= 1;
        return seen;
      }),
    ),
  );
  expect(most).toEqual(Array.from({ length: 8 }, () => 1));
  expect(existsSync(lock.path)).toBe(false);
});

test("the lock is given back when the work fails", async () => {
  const lock = aLock();
  await expect(withLock(lock, () => Promise.reject(new Error("no")))).rejects.toThrow("no");
  expect(await withLock(lock, () => Promise.resolve("yes"))).toBe("yes");
});

test("a lock whose holder was killed is taken over", async () => {
  const lock = aLock();
  const holder = await runScript(SLEEPS);
  const { pid, startedAt } = recordOf(holder.pid);
  holder.kill("SIGKILL");
  writeFileSync(lock.path, JSON.stringify({ pid, startedAt, token: "x" }));
  expect(await withLock(lock, () => Promise.resolve("mine"))).toBe("mine");
});

test("a lock file that is no lock file is taken over", async () => {
  const lock = aLock();
  writeFileSync(lock.path, "garbage");
  expect(await withLock(lock, () => Promise.resolve("mine"))).toBe("mine");
});

test("a folder that cannot be made is told with what to choose", async () => {
  const file = join(temporaryFolder(), "a-file");
  writeFileSync(file, "");
  const attempt = withLock({ ...aLock(), path: join(file, "lock") }, () => Promise.resolve());
  await expect(attempt).rejects.toMatchObject({
    type: "FolderUnwritable",
    hint: "choose another folder: --state for a stack's state, XDG_CACHE_HOME for the cache",
  });
});

test("who waits too long is told who holds it, and the holder keeps it", async () => {
  const lock = aLock({ timeoutSeconds: 0 });
  const holder = await runScript(SLEEPS);
  const content = JSON.stringify({ ...recordOf(holder.pid), token: "x" });
  writeFileSync(lock.path, content);
  const waiting: string[] = [];
  const attempt = withLock({ ...lock, onWait: (message) => waiting.push(message) }, () =>
    Promise.resolve(),
  );
  await expect(attempt).rejects.toMatchObject({
    type: "StackBusy",
    hint: `wait for it, or end it with: kill ${holder.pid}`,
  });
  expect(waiting).toEqual([`waiting for process ${holder.pid}, which is testing`]);
  expect(readFileSync(lock.path, "utf8")).toBe(content);
});
