/** Schedules by the command line: applied, compared, edited by hand, paused, triggered, backfilled, deleted. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { HeadObjectCommand } from "@aws-sdk/client-s3";
import type { Client, ScheduleDescription, ScheduleUpdateOptions } from "@temporalio/client";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { applySchedule, proposeSchedule } from "../../client/apply-schedule.js";
import { openConnections, type Connections } from "../../client/connections.js";
import { anyAccount, loadFleetFile, type LoadedFleet } from "../../client/fleet-file.js";
import { pauseSchedule } from "../../client/steer-schedule.js";
import { s3Keys } from "../../fleet/names.js";
import { scheduleId } from "../../workflows/messages.js";
import { startTestStack, type TestStack } from "../stack.js";
import { modelfleet, modelfleetJson } from "./modelfleet.js";

let stack: TestStack;
let connections: Connections;
let temporal: Client;

beforeAll(async () => {
  stack = await startTestStack({ basePort: 17500 });
  // The AWS SDK takes its credentials and endpoints from the process.
  for (const [name, value] of Object.entries(stack.environment))
    if (name.startsWith("AWS_")) vi.stubEnv(name, value);
  connections = openConnections(stack.environment);
  temporal = await connections.temporal();
});
afterAll(async () => {
  vi.unstubAllEnvs();
  await connections.close();
  await stack.close();
});

const run = (...words: string[]) => modelfleet(words, { directory: stack.folder });
const runJson = (...words: string[]) => modelfleetJson(words, { directory: stack.folder });

const MONTHLY = 'monthly({ day: 1, at: "03:00", jitter: "10m" })';

/** Writes a fleet file and returns its path, relative to the stack's folder. */
function writeFleet(name: string, schedule?: string, concurrency = 50): string {
  mkdirSync(join(stack.folder, name), { recursive: true });
  const source = JSON.stringify(resolve("training/xgboost_regression"));
  const key = schedule === undefined ? "" : `schedule: ${schedule},`;
  writeFileSync(
    join(stack.folder, name, "fleet.ts"),
    `import { calendar, cron, defineFleet, monthly, multiModelEndpoint, postgres, quarterly, script } from "modelfleet";
void [calendar, cron, monthly, quarterly];
export default defineFleet({
  name: ${JSON.stringify(name)},
  source: postgres({
    connection: "WAREHOUSE_URL",
    query: "select shop, y, x\\nfrom sales\\nwhere at >= :floor and at < :ceiling",
    customer: "shop", target: "y",
    window: { months: 2, pushbackDays: 1 }, split: { validation: 0.3, test: 0.1 },
  }),
  training: script(${source}),
  endpoint: multiModelEndpoint(),
  stages: [{ name: "sandbox", account: "111111111111" }],
  concurrency: ${concurrency},
  ${key}
});\n`,
  );
  return name;
}

/** Applies a schedule to a fleet of its own, as `apply --yes` does but without its start-up. */
async function applied(name: string, schedule = MONTHLY): Promise<string> {
  const file = writeFleet(name, schedule);
  const loaded = await load(file);
  const proposal = await propose(loaded);
  await applySchedule(connections, loaded, { proposal, by: "me" });
  return file;
}

const load = (file: string) => loadFleetFile(join(stack.folder, file), anyAccount);
const propose = (loaded: LoadedFleet) =>
  proposeSchedule(connections, loaded, { deleteSchedule: false, now: new Date() });

const describeSchedule = (fleet: string) =>
  temporal.schedule.getHandle(scheduleId(fleet)).describe();

/** As somebody would in the web UI. */
async function editByHand(
  fleet: string,
  edit: (standing: ScheduleDescription) => Partial<ScheduleUpdateOptions>,
): Promise<void> {
  await temporal.schedule.getHandle(scheduleId(fleet)).update((standing) => ({
    spec: standing.spec,
    action: standing.action,
    policies: standing.policies,
    state: standing.state,
    ...edit(standing),
  }));
}

describe("apply", () => {
  test("shows what would be created, and creates nothing unless told to", async () => {
    const file = writeFleet("looked-at", MONTHLY);
    const dry = await run("apply", file, "--dry-run");
    expect(dry.stdout).toContain("the schedule fleet/looked-at would be created");
    expect(dry.stdout).toMatch(/schedule +at 03:00 on day 1 of every month/);
    expect(dry.stdout).toMatch(/next .* cycle \d{4}-\d\d-01t0300, rows of /);
    expect(dry.code).toBe(0);
    const unasked = await run("apply", file);
    expect(unasked.stderr).toContain("nothing was changed: there is no terminal to ask");
    expect(unasked.code).toBe(2);
    await expect(describeSchedule("looked-at")).rejects.toThrow(/not found/i);
  });

  test("makes a Temporal Schedule that starts the fleet, with its code uploaded", async () => {
    const file = writeFleet("created", MONTHLY);
    const document = await runJson("apply", file, "--yes");
    expect(document).toMatchObject({ action: "create", applied: true, fleet: "created" });
    const standing = await describeSchedule("created");
    expect(standing).toMatchObject({
      action: {
        workflowType: "retrainOnSchedule",
        workflowId: "retrain-on-schedule/created",
        taskQueue: "modelfleet",
        args: [{ spec: { name: "created", source: { window: { months: 2 } } } }],
      },
      spec: { jitter: 600_000, timezone: "UTC" },
      policies: { overlap: "SKIP", catchupWindow: 7 * 24 * 3600 * 1000 },
      state: { paused: false },
      memo: { modelfleet: "created" },
    });
    expect(standing.info.nextActionTimes[0]?.getUTCHours()).toBe(3);
    const [input] = standing.action.args as { spec: { training: { sourceHash: string } } }[];
    const Key = s3Keys.code("created", input?.spec.training.sourceHash ?? "");
    const Bucket = stack.environment.MODELFLEET_BUCKET ?? "";
    const s3 = await connections.s3();
    await expect(s3.send(new HeadObjectCommand({ Bucket, Key }))).resolves.toBeDefined();
  });

  test.each([
    ["monthly", MONTHLY],
    [
      "berlin",
      'monthly({ day: 28, at: "04:30", timezone: "Europe/Berlin", overlap: "buffer-one" })',
    ],
    ["quarterly", 'quarterly({ day: 2, at: "00:05", catchupWindow: "2d" })'],
    ["cron", 'cron("*/15 3,4 * 1-6 MON-FRI", { timezone: "US/Pacific" })'],
    ["calendar", 'calendar({ dayOfWeek: "SUN", dayOfMonth: "1-7", hour: [3, 15], jitter: "90s" })'],
    ["every-minute", 'calendar({ minute: "*", hour: "*", overlap: "allow-all" })'],
  ])("finds nothing to change the second time (%s)", async (name, schedule) => {
    const file = await applied(`again-${name}`, schedule);
    const fleet = `again-${name}`;
    if (name === "every-minute") await pauseSchedule(connections, { fleet, note: "for the test" });
    const before = await describeSchedule(`again-${name}`);
    expect(await propose(await load(file))).toMatchObject({ action: "nothing", changes: [] });
    await applied(`again-${name}`, schedule);
    const after = await describeSchedule(`again-${name}`);
    expect(after.info.lastUpdatedAt).toEqual(before.info.lastUpdatedAt);
  });

  test("shows a change of the file field by field, and carries it out; a pause stays", async () => {
    await applied("changed");
    await run("schedule", "pause", "changed", "--note", "holidays");
    const file = writeFleet("changed", 'monthly({ day: 2, at: "04:00", jitter: "10m" })', 20);
    const dry = await run("apply", file, "--dry-run");
    expect(dry.stdout).toContain("2 fields of the schedule fleet/changed would change\n");
    expect(dry.stdout).toContain(
      "schedule: at 03:00 on day 1 of every month → at 04:00 on day 2 of every month\n",
    );
    expect(dry.stdout).toContain("concurrency: 50 → 20\n");
    expect(dry.stdout).toContain("it is paused (holidays), and stays so");
    await run("apply", file, "--yes");
    expect(await describeSchedule("changed")).toMatchObject({
      spec: { calendars: [{ hour: [{ start: 4 }], dayOfMonth: [{ start: 2 }] }] },
      action: { args: [{ spec: { concurrency: 20 } }] },
      state: { paused: true, note: "holidays" },
    });
  });

  test("shows what somebody has edited by hand since, and takes it back", async () => {
    const file = await applied("edited");
    await editByHand("edited", ({ spec }) => ({
      spec: { ...spec, jitter: "5m", endAt: new Date("2040-01-01T00:00:00Z") },
    }));
    const shown = await run("schedule", "show", "edited");
    expect(shown.stdout).toContain("by hand: schedule.jitter from 10m to 5m");
    const document = await runJson("apply", file, "--dry-run");
    expect(document).toMatchObject({
      action: "update",
      applied: false,
      changes: [
        { field: "schedule.jitter", was: "5m", becomes: "10m", editedByHand: true },
        {
          field: "schedule.endAt",
          was: "2040-01-01T00:00:00.000Z",
          becomes: null,
          editedByHand: true,
        },
      ],
    });
    const dry = await run("apply", file, "--dry-run");
    expect(dry.stdout).toContain("2 edited by hand since it was applied");
    await run("apply", file, "--yes");
    expect((await run("apply", file)).stdout).toContain(
      "nothing to change: the schedule fleet/edited is as the file says",
    );
    const { edits } = await runJson("schedule", "show", "edited");
    expect(edits).toEqual([]);
  });

  test("shows an edit that replaced what is started, and its note of what was applied", async () => {
    const file = await applied("replaced");
    await editByHand("replaced", ({ action }) => ({
      action: {
        type: "startWorkflow",
        workflowType: "somethingElse",
        taskQueue: "elsewhere",
        args: [],
        workflowId: action.workflowId ?? "",
      },
    }));
    const { changes } = await runJson("apply", file, "--dry-run");
    expect(changes).toContainEqual({
      field: "schedule.starts",
      was: "somethingElse retrain-on-schedule/replaced-<time> on elsewhere",
      becomes: "retrainOnSchedule retrain-on-schedule/replaced-<time> on modelfleet",
      editedByHand: true,
    });
    expect((await run("schedule", "show", "replaced")).stdout).toContain(
      "what was applied is no longer known",
    );
    await run("apply", file, "--yes");
    expect(await runJson("apply", file)).toMatchObject({ action: "nothing" });
  });

  test("refuses a schedule of that id that modelfleet has not made", async () => {
    await temporal.schedule.create({
      scheduleId: scheduleId("foreign"),
      spec: { calendars: [{ dayOfMonth: 1 }] },
      state: { paused: true },
      action: { type: "startWorkflow", workflowType: "theirs", taskQueue: "theirs" },
    });
    const file = writeFleet("foreign", MONTHLY);
    for (const words of [
      ["apply", file, "--yes"],
      ["schedule", "pause", "foreign"],
    ]) {
      const { code, stderr } = await run(...words);
      expect(stderr).toContain("error: the schedule fleet/foreign is not modelfleet's");
      expect(code).toBe(1);
    }
    expect((await describeSchedule("foreign")).action.workflowType).toBe("theirs");
    const { schedules } = await runJson("schedule", "list");
    expect(JSON.stringify(schedules)).not.toContain("foreign");
  });

  test("changes nothing when the schedule was changed while somebody looked", async () => {
    const file = await applied("raced");
    const loaded = await load(writeFleet(file, 'monthly({ day: 3, at: "03:00" })'));
    const proposal = await propose(loaded);
    await editByHand("raced", ({ spec }) => ({ spec: { ...spec, jitter: "1m" } }));
    await expect(applySchedule(connections, loaded, { proposal, by: "me" })).rejects.toThrow(
      "has been changed while you looked",
    );
    expect((await describeSchedule("raced")).spec.jitter).toBe(60_000);
  });

  test("leaves the schedule of a file that declares none any more, or deletes it if told to", async () => {
    await applied("dropped");
    const file = writeFleet("dropped");
    const left = await run("apply", file);
    expect(left.stdout).toContain("declares no schedule, but fleet/dropped stands, and was left");
    expect(left.code).toBe(0);
    expect(await runJson("apply", file, "--delete-schedule", "--yes")).toMatchObject({
      action: "delete",
      applied: true,
    });
    const none = await run("apply", file);
    expect(none.stderr).toContain("declares no schedule, and the fleet has none");
    expect(none.stderr).toContain('try: add one: schedule: monthly({ day: 1, at: "03:00"');
    expect(none.code).toBe(1);
  });

  test("does not delete a schedule that the file declares", async () => {
    const file = await applied("kept");
    const { code, stderr } = await run("apply", file, "--delete-schedule", "--yes");
    expect(stderr).toContain("declares a schedule, so it is not to be deleted");
    expect(code).toBe(2);
  });

  test("tells all that is wrong with the declaration before it asks Temporal", async () => {
    const file = writeFleet("wrong", 'monthly({ day: 31, at: "3", timezone: "Mars/Olympus" })');
    const { code, stderr } = await run("apply", file, "--yes");
    expect(stderr).toContain("schedule.day 31: not every month has the days 29 to 31");
    expect(stderr).toContain('schedule.at "3": a time of day');
    expect(stderr).toContain('schedule.timezone "Mars/Olympus": is no IANA time zone');
    expect(code).toBe(1);
  });
});

describe("schedule", () => {
  test("list and show tell when each fleet is retrained next", async () => {
    await applied("listed");
    const find = async () => {
      const { schedules } = await runJson("schedule", "list");
      return (schedules as { fleet: string }[]).find(({ fleet }) => fleet === "listed");
    };
    await expect.poll(find, { timeout: 20_000, interval: 500 }).toMatchObject({ paused: false });
    const { stdout } = await run("schedule", "show", "listed");
    expect(stdout).toMatch(/when +at 03:00 on day 1 of every month \(UTC\)/);
    expect(stdout).toContain("it has started nothing yet");
    expect(await runJson("schedule", "show", "listed")).toMatchObject({
      overlap: "skip",
      catchupWindow: "7d",
      runs: [],
      edits: [],
      webPage: expect.stringContaining("/schedules/fleet%2Flisted") as string,
    });
  });

  test("pause and resume keep the note, and say when it was so before", async () => {
    await applied("paused");
    const paused = await runJson("schedule", "pause", "paused", "--note", "moving the warehouse");
    expect(paused).toMatchObject({ paused: true, changed: true, note: "moving the warehouse" });
    expect((await describeSchedule("paused")).state).toMatchObject({
      paused: true,
      note: "moving the warehouse",
    });
    const again = await run("schedule", "pause", "paused");
    expect(again.stderr).toContain("paused was paused before (moving the warehouse)");
    expect(await runJson("schedule", "resume", "paused")).toMatchObject({ changed: true });
    expect((await describeSchedule("paused")).state.paused).toBe(false);
  });

  test("trigger starts a cycle for this minute, and no second one while it runs", async () => {
    await applied("triggered");
    const { cycle, workflowId } = await runJson("schedule", "trigger", "triggered");
    expect(cycle).toMatch(/^\d{4}-\d\d-\d\d(t\d{4})?$/);
    expect(workflowId).toMatch(/^retrain-on-schedule\/triggered-\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    const second = await run("schedule", "trigger", "triggered");
    expect(second.stderr).toContain('a cycle of "triggered" runs');
    expect(second.code).toBe(1);
    const { runs } = await runJson("schedule", "show", "triggered");
    expect(runs).toMatchObject([{ cycle, workflowId, state: "running" }]);
  });

  test("backfill lists the cycles that were due, and starts them for their own times, in order", async () => {
    await applied("late");
    const words = ["late", "--from", "2013-05-01", "--to", "2013-07-02"];
    const plan = await runJson("schedule", "backfill", ...words, "--dry-run");
    expect(plan).toMatchObject({
      started: false,
      cycles: [
        {
          cycle: "2013-05-01t0300",
          window: { floor: "2013-02-28T03:00:00.000Z", ceiling: "2013-04-30T03:00:00.000Z" },
        },
        { cycle: "2013-06-01t0300" },
        { cycle: "2013-07-01t0300" },
      ],
    });
    expect((await run("schedule", "backfill", ...words)).code).toBe(2);
    await runJson("schedule", "backfill", ...words, "--yes");
    const started = async () => (await describeSchedule("late")).info.recentActions.length;
    const first = "retrain-on-schedule/late-2013-05-01T03:00:00Z";
    const second = "retrain-on-schedule/late-2013-06-01T03:00:00Z";
    await expect.poll(started, { timeout: 20_000 }).toBe(1);
    await temporal.workflow.getHandle(first).terminate("the test has no worker");
    await expect.poll(started, { timeout: 30_000 }).toBe(2);
    expect(await temporal.workflow.getHandle(second).describe()).toMatchObject({
      status: { name: "RUNNING" },
    });
  });

  test.each([
    [
      ["backfill", "none", "--from", "2013-05-01"],
      2,
      "required option '--to <date>' not specified",
    ],
    [
      ["backfill", "none", "--from", "2013-05-02", "--to", "2013-05-01"],
      2,
      "--to is before --from",
    ],
    [["pause", "nobody"], 1, 'fleet "nobody" has no schedule'],
    [["trigger"], 2, "missing required argument 'fleet'"],
  ])("%j is told what is wrong with it", async (words, code, said) => {
    const ran = await run("schedule", ...words);
    expect(ran.stderr).toContain(said);
    expect(ran.code).toBe(code);
  });

  test("backfill refuses more cycles than it would be wise to start at once", async () => {
    await applied("many", 'cron("0 * * * *")');
    const words = ["schedule", "backfill", "many", "--from", "2013-01-01", "--to", "2014-01-01"];
    const { code, stderr } = await run(...words);
    expect(stderr).toContain('more than 100 cycles of "many" were due in that time');
    expect(code).toBe(1);
  });
});
