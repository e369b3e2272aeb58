/** What a processing container's entry point meets: its folders, its signals, its interpreter. */
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { describe, expect, test } from "vitest";
import { deferred, pythonPath, runToEnd, sharedHost, temporaryFolder } from "./python.js";

const folder = temporaryFolder();

/** A container's /opt/ml with the request of a job that runs this. */
function layOut(ContainerEntrypoint: string[], ContainerArguments?: string[]): string {
  const base = mkdtempSync(join(folder, "job-"));
  mkdirSync(join(base, "config"));
  const AppSpecification = { ContainerEntrypoint, ContainerArguments };
  const job = { AppSpecification, Environment: { OWN: "/opt/ml" } };
  writeFileSync(join(base, "config", "processingjobconfig.json"), JSON.stringify(job));
  return base;
}

describe.each(["fork", "spawn"] as const)("in a host that can %s", (mode) => {
  const host = sharedHost(mode);

  test("it finds its interpreter on the path, and its own folder at the start", async () => {
    const script = "import os, sys; print(sys.executable); print(sorted(os.listdir('.')))";
    const baseDir = layOut(["python3", "-c", script]);
    const run = await runToEnd((onLine) => host().process({ baseDir, env: {}, onLine }));
    const [executable, listed] = run.lines.slice(-2);
    expect(executable).toMatch(/python3?$/);
    expect(join(executable ?? "", "..")).toBe(join(pythonPath(), ".."));
    expect(listed).toContain("'config'");
    expect(run.code).toBe(0);
  });

  test("its exit code is the container's", async () => {
    const baseDir = layOut(["/bin/sh", "-c", "exit 7"]);
    const run = await runToEnd((onLine) => host().process({ baseDir, env: {}, onLine }));
    expect(run.code).toBe(7);
  });

  test("SIGINT reaches it, and raises KeyboardInterrupt in Python", async () => {
    const script = `
import time
try:
    print("ready", flush=True)
    time.sleep(60)
except KeyboardInterrupt:
    print("interrupted", flush=True)
`;
    const baseDir = layOut(["python3", "-c", script]);
    const ready = deferred<void>();
    const lines: string[] = [];
    const onLine = (line: string) => {
      lines.push(line);
      if (line === "ready") ready.resolve();
    };
    const container = host().process({ baseDir, env: {}, onLine });
    await ready.promise;
    container.kill("SIGINT");
    expect((await container.exited).code).toBe(0);
    expect(lines.at(-1)).toBe("interrupted");
  });
});

test("where /opt/ml cannot be shown, values that name it are given the local folder", async () => {
  const script = 'echo "$0 $1 $2 $OWN $OTHERS"; cat /opt/ml/there';
  const given = ["/opt/ml/a", "--b=/opt/ml/b,s3://x/opt/ml", "/opt/mlx"];
  const base = layOut(["/bin/sh", "-c", script], given);
  writeFileSync(join(base, "there"), "found");
  const python = new URL("../../local/sagemaker/python/", import.meta.url).pathname;
  // As on a machine without mount namespaces.
  const program = `
import sys
sys.path.insert(0, ${JSON.stringify(python)})
sys.platform = "other"
import processing_container
processing_container.run(${JSON.stringify(base)})
`;
  const child = spawn(pythonPath(), ["-c", program], {
    env: { PATH: process.env.PATH, OWN: "/opt/ml", OTHERS: "/opt/ml" },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [note, echoed, found] = (await text(child.stdout)).split("\n");
  expect(note).toContain("/opt/ml cannot be shown here");
  expect(echoed).toBe(`${base}/a --b=${base}/b,s3://x/opt/ml /opt/mlx ${base} /opt/ml`);
  expect(found).toBe("found");
});
