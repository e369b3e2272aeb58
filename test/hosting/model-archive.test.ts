import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { expect, test } from "vitest";
import { ArchiveError, unpackArchive } from "../../local/sagemaker/model-archive.js";
import { tarGz, tarGzOf } from "./artifacts.js";
import type { TarEntry } from "./artifacts.js";
import { temporaryFolder } from "./python.js";

const parent = temporaryFolder();
let next = 0;
const newFolder = (): string => join(parent, `model-${next++}`);
const unpack = (archive: Buffer, folder: string, limitBytes = 1_000_000): Promise<number> =>
  unpackArchive(Readable.from([archive]), { folder, limitBytes });

test("files and folders are unpacked, however tar spells their paths", async () => {
  const folder = newFolder();
  const archive = await tarGzOf([
    { header: { name: "./", type: "directory" } },
    { header: { name: "./model.json" }, content: "{}" },
    { header: { name: "code/", type: "directory" } },
    { header: { name: "code/a/b.py" }, content: "pass" },
  ]);
  expect(await unpack(archive, folder)).toBe(6);
  expect(readFileSync(join(folder, "model.json"), "utf8")).toBe("{}");
  expect(readFileSync(join(folder, "code/a/b.py"), "utf8")).toBe("pass");
});

const leadsOut = "leads out of the model's folder";
const only = "only files and folders";
const evil: [string, TarEntry, string][] = [
  [
    "an absolute path",
    { header: { name: "/tmp/mf-evil" }, content: "x" },
    `entry "/tmp/mf-evil" ${leadsOut}`,
  ],
  [
    "a path that leads out",
    { header: { name: "../evil" }, content: "x" },
    `entry "../evil" ${leadsOut}`,
  ],
  [
    "a path that leads out in the middle",
    { header: { name: "a/../../evil" }, content: "x" },
    `entry "a/../../evil" ${leadsOut}`,
  ],
  [
    "a symbolic link",
    { header: { name: "link", type: "symlink", linkname: "/etc/passwd" } },
    `entry "link" is a symlink: ${only}`,
  ],
  [
    "a hard link",
    { header: { name: "link", type: "link", linkname: "../../evil" } },
    `entry "link" is a link: ${only}`,
  ],
  [
    "a character device",
    { header: { name: "null", type: "character-device" } },
    `entry "null" is a character-device: ${only}`,
  ],
  [
    "a block device",
    { header: { name: "disk", type: "block-device" } },
    `entry "disk" is a block-device: ${only}`,
  ],
  ["a pipe", { header: { name: "pipe", type: "fifo" } }, `entry "pipe" is a fifo: ${only}`],
];

test.each(evil)("%s is refused, and nothing is left behind", async (_kind, entry, message) => {
  const folder = newFolder();
  const archive = await tarGzOf([{ header: { name: "good" }, content: "good" }, entry]);
  await expect(unpack(archive, folder)).rejects.toThrow(new ArchiveError(message));
  expect(
    readdirSync(parent).filter((name) => name.startsWith(folder.slice(parent.length + 1))),
  ).toEqual([]);
  expect(existsSync("/tmp/mf-evil")).toBe(false);
});

test("an archive that unpacks to more than the limit is refused", async () => {
  const archive = await tarGz({ "zeros.bin": Buffer.alloc(2_000_000) });
  expect(archive.length).toBeLessThan(10_000);
  await expect(unpack(archive, newFolder())).rejects.toThrow("more than 1000000 bytes");
});

test.each([
  ["no gzip", Buffer.from("<html>not found</html>")],
  ["empty", Buffer.alloc(0)],
])("an archive that is %s is told as broken", async (_kind, archive) => {
  await expect(unpack(archive, newFolder())).rejects.toThrow(ArchiveError);
});

test("an archive cut short is told as broken wherever the cut is", async () => {
  const archive = await tarGz({ "a.txt": "a".repeat(5_000), "b.txt": "b".repeat(5_000) });
  for (const kept of [0.2, 0.5, 0.9, 0.99]) {
    const folder = newFolder();
    const cut = archive.subarray(0, Math.floor(archive.length * kept));
    await expect(unpack(cut, folder)).rejects.toThrow(ArchiveError);
    expect(existsSync(folder)).toBe(false);
  }
});

test("a failing download is told as itself", async () => {
  const failing = new Readable({
    read() {
      this.destroy(new Error("connection reset by the store"));
    },
  });
  const folder = newFolder();
  await expect(unpackArchive(failing, { folder, limitBytes: 1 })).rejects.toThrow(
    "connection reset",
  );
});
