/** What a look at a checkpoint folder says is to be uploaded, and what to be deleted. */
import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { createCheckpointFiles } from "../../local/sagemaker/checkpoint-files.js";
import type { CheckpointFiles } from "../../local/sagemaker/checkpoint-files.js";
import { temporaryFolder } from "../hosting/python.js";

const parent = temporaryFolder();
let number = 0;
let folder: string;
let files: CheckpointFiles;

beforeEach(() => {
  folder = join(parent, String((number += 1)));
  mkdirSync(folder);
  files = createCheckpointFiles(folder);
});

const write = (name: string, content: string) => writeFileSync(join(folder, name), content);

/** Uploads what the look says, and returns the names. */
async function look(last = false): Promise<{ uploaded: string[]; gone: readonly string[] }> {
  const { toUpload, gone } = await files.find({ last });
  for (const file of toUpload) files.uploaded(file);
  files.deleted(gone);
  return { uploaded: toUpload.map(({ name }) => name).sort(), gone };
}

const nothing = { uploaded: [], gone: [] };

describe("a file", () => {
  test("is uploaded once, at the second look that finds it alike", async () => {
    write("a", "1");
    expect(await look()).toEqual(nothing);
    expect(await look()).toEqual({ uploaded: ["a"], gone: [] });
    expect(await look()).toEqual(nothing);
  });

  test("that grows between two looks waits for the next", async () => {
    write("a", "1");
    await look();
    write("a", "12");
    expect(await look()).toEqual(nothing);
    expect(await look()).toEqual({ uploaded: ["a"], gone: [] });
  });

  test("that changes later is uploaded again, also when its size stays", async () => {
    write("a", "1");
    await look();
    await look();
    write("new", "2");
    renameSync(join(folder, "new"), join(folder, "a"));
    await look();
    expect(await look()).toEqual({ uploaded: ["a"], gone: [] });
  });

  test("that was restored is not uploaded, and deleted when it goes", async () => {
    write("a", "1");
    await files.knowAll();
    expect(await look()).toEqual(nothing);
    rmSync(join(folder, "a"));
    expect(await look()).toEqual({ uploaded: [], gone: ["a"] });
    expect(await look()).toEqual(nothing);
  });

  test("that comes and goes between two looks was never there", async () => {
    write("a", "1");
    await look();
    rmSync(join(folder, "a"));
    expect(await look()).toEqual(nothing);
  });
});

test("the last look takes every file as it is, links apart", async () => {
  mkdirSync(join(folder, "deep"));
  write("deep/a", "1");
  symlinkSync("/etc/hostname", join(folder, "link"));
  expect(await look(true)).toEqual({ uploaded: ["deep/a"], gone: [] });
});

test("a folder that is removed altogether deletes nothing", async () => {
  write("a", "1");
  await files.knowAll();
  rmSync(folder, { recursive: true });
  expect(await look()).toEqual(nothing);
});

test("of very many files each is compared within a few looks", async () => {
  for (let index = 0; index < 2_500; index++) write(String(index), "1");
  await files.knowAll();
  write("2345", "changed");
  const uploaded: string[] = [];
  for (let looks = 0; looks < 5; looks++) uploaded.push(...(await look()).uploaded);
  expect(uploaded).toEqual(["2345"]);
});
