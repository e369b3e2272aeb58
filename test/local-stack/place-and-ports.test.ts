import { describe, expect, test } from "vitest";
import { stackFolder } from "../../local/stack/place.js";
import { DEFAULT_BASE_PORT, stackPorts } from "../../local/stack/ports.js";

describe("a stack's place", () => {
  test("state lies in .modelfleet/<name> of the base folder", () => {
    const folder = stackFolder({ name: "demo", baseDir: "/srv/project" });
    expect(folder.root).toBe("/srv/project/.modelfleet/demo");
    expect(folder.environmentFile).toBe("/srv/project/.modelfleet/demo/env");
  });

  test("a state folder of one's own replaces that, and commands that name the stack say so", () => {
    const folder = stackFolder({ name: "demo", state: "/data/demo" });
    expect(folder.root).toBe("/data/demo");
    expect(folder.flags).toBe(" --name demo --state /data/demo");
  });

  test("the default stack needs no flags", () => {
    expect(stackFolder({ baseDir: "/work" }).flags).toBe("");
  });

  test.each(["", "..", "a/b", "Demo", "-demo", "demo stack", "x".repeat(32)])(
    "the name %j is refused with what a name looks like",
    (name) => {
      expect(() => stackFolder({ name })).toThrowError(/lower-case letters, digits and hyphens/);
    },
  );
});

describe("a stack's ports", () => {
  test("all differ and follow the base port", () => {
    const { s3Internal, ...ports } = stackPorts(DEFAULT_BASE_PORT);
    const all = [...Object.values(ports), ...Object.values(s3Internal)];
    expect(ports).toEqual({
      sagemaker: 7230,
      postgres: 7231,
      s3: 7232,
      temporal: 7233,
      temporalUi: 7234,
    });
    expect(new Set(all).size).toBe(12);
    expect(Math.max(...all)).toBe(DEFAULT_BASE_PORT + 11);
  });

  test.each([0, 80, 1023, 65_530, 70_000, 7230.5, Number.NaN])(
    "base port %d is refused",
    (port) => {
      expect(() => stackPorts(port)).toThrowError(/does not fit/);
    },
  );
});
