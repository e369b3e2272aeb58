/** The training code's hash and bytes: a function of names and contents, and of nothing else. */
import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { gunzipSync } from "node:zlib";
import { extract } from "tar-stream";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { readSourceArchive } from "../../client/source-archive.js";

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "modelfleet-source-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function write(root: string, files: Readonly<Record<string, string>>): string {
  for (const [path, contents] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), contents);
  }
  return root;
}

const sources = { "train.py": "print(1)", "lib/model.py": "x = 1", "inference.py": "" };

describe("a source folder", () => {
  test("packs to the same bytes whatever the order and the times of its files", async () => {
    const one = write(join(folder, "one"), sources);
    const reversed = Object.fromEntries(Object.entries(sources).reverse());
    const other = write(join(folder, "other"), reversed);
    utimesSync(join(other, "train.py"), new Date(1), new Date(1));
    const [first, second] = await Promise.all([readSourceArchive(one), readSourceArchive(other)]);
    expect(second.hash).toBe(first.hash);
    expect(await second.bytes()).toEqual(await first.bytes());
  });

  test("has another hash when a byte or a name changes", async () => {
    const hashOf = async (name: string, files: Readonly<Record<string, string>>) =>
      (await readSourceArchive(write(join(folder, name), files))).hash;
    const hashes = await Promise.all([
      hashOf("a", { "train.py": "ab", "b.py": "c" }),
      hashOf("b", { "train.py": "a", "b.py": "bc" }),
      hashOf("c", { "train.py": "ab", "c.py": "c" }),
      hashOf("d", { "train.py": "ab" }),
    ]);
    expect(new Set(hashes).size).toBe(4);
  });

  test("leaves caches and dotfiles out", async () => {
    write(folder, {
      ...sources,
      "__pycache__/train.cpython-311.pyc": "x",
      "lib/old.pyc": "x",
      ".git/config": "x",
      ".env": "SECRET=1",
    });
    const archive = await readSourceArchive(folder);
    expect(archive.files).toEqual(["inference.py", "lib/model.py", "train.py"]);
  });

  test("is a tar that unpacks to the same files", async () => {
    write(folder, sources);
    const archive = await readSourceArchive(folder);
    const unpacked = extract();
    unpacked.end(gunzipSync(await archive.bytes()));
    const found: Record<string, string> = {};
    for await (const entry of unpacked) {
      const chunks: Buffer[] = [];
      for await (const chunk of entry) chunks.push(Buffer.from(chunk as Uint8Array));
      found[entry.header.name] = Buffer.concat(chunks).toString();
    }
    expect(found).toEqual(sources);
  });

  test("has its dependencies beside it, each under its own name", async () => {
    write(join(folder, "code"), { "train.py": "import judging" });
    write(join(folder, "shared"), { "judging/__init__.py": "x = 1", "notes.txt": "" });
    const archive = await readSourceArchive(join(folder, "code"), [
      join(folder, "shared/judging"),
      join(folder, "shared/notes.txt"),
    ]);
    expect(archive.files).toEqual(["judging/__init__.py", "notes.txt", "train.py"]);
    expect(archive.contents("judging/__init__.py")?.toString()).toBe("x = 1");
  });
});
