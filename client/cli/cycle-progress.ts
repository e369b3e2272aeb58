/** Shows a cycle's progress on stderr: redrawn in place on a terminal, else a plain line now and then. */
import { createLogUpdate } from "log-update";
import type { StateCounts } from "../ledger.js";
import type { CycleSnapshot } from "../watch-cycle.js";
import type { Colors, Shell } from "./shell.js";
import { count, duration } from "./words.js";

export interface ProgressHeader {
  readonly fleet: string;
  readonly cycle: string;
  readonly webPage: string | undefined;
}

export interface CycleProgress {
  update(snapshot: CycleSnapshot): void;
  /** Leaves the last view standing, or clears it. */
  end(keep: boolean): void;
}

const PLAIN_LINE_EVERY_MS = 4000;

export function cycleProgress(shell: Shell, header: ProgressHeader): CycleProgress {
  return shell.stderr.isTTY === true ? liveProgress(shell, header) : plainProgress(shell, header);
}

function liveProgress(shell: Shell, header: ProgressHeader): CycleProgress {
  const draw = createLogUpdate(process.stderr, { showCursor: false });
  const pace = paceMeter();
  const started = Date.now();
  return {
    update: (snapshot) => {
      const seconds = (Date.now() - started) / 1000;
      const width = Math.min(shell.stderr.columns ?? 80, 100);
      draw(
        liveLines(shell.progressColors, header, snapshot, pace(snapshot), seconds, width).join(
          "\n",
        ),
      );
    },
    end: (keep) => {
      if (!keep) draw.clear();
      draw.done();
    },
  };
}

function plainProgress(shell: Shell, header: ProgressHeader): CycleProgress {
  const pace = paceMeter();
  const started = Date.now();
  let told = { at: 0, phase: "" };
  if (header.webPage !== undefined) shell.stderr.write(`watch it at ${header.webPage}\n`);
  return {
    update: (snapshot) => {
      const { done, total, perSecond, secondsLeft } = pace(snapshot);
      const due = Date.now() - told.at >= PLAIN_LINE_EVERY_MS;
      if (!due && told.phase === snapshot.phase) return;
      if (snapshot.withoutWorker && told.at === 0) {
        shell.stderr.write("no worker runs: start one with modelfleet worker\n");
      }
      told = { at: Date.now(), phase: snapshot.phase };
      const elapsed = duration((Date.now() - started) / 1000);
      const parts = [`${elapsed}  ${phaseWords(snapshot)}`];
      if (total > 0 && snapshot.phase !== "planning")
        parts.push(`${count(done)} of ${count(total)} models`);
      if (perSecond > 0) parts.push(`${perSecond.toFixed(1)} a second`);
      if (secondsLeft > 0) parts.push(`about ${duration(secondsLeft)} left`);
      const states = stateWords(snapshot.states).join(", ");
      shell.stderr.write(`${parts.join(", ")}${states === "" ? "" : ` (${states})`}\n`);
    },
    end: () => undefined,
  };
}

interface Pace {
  readonly done: number;
  readonly total: number;
  readonly perSecond: number;
  readonly secondsLeft: number;
}

/** Models made per second, over the last quarter of a minute: a cycle's start says little about its end. */
function paceMeter(): (snapshot: CycleSnapshot) => Pace {
  const seen: { at: number; done: number }[] = [];
  let made = 0;
  return ({ phase, states, customers, checkpoints }) => {
    // Before the plan it is not known who is trained.
    const planned = !["starting", "exporting", "preparing", "planning"].includes(phase);
    const total = planned ? customers - (states.skipped ?? 0) : 0;
    const ahead =
      (states.exported ?? 0) +
      (states.planned ?? 0) +
      (states.training ?? 0) +
      (states.trained ?? 0) +
      (states.evaluated ?? 0);
    // What a sharded job has made is not lost when it ends, and all of it is judged at once.
    made = Math.max(made, checkpoints);
    const done = Math.max(total - ahead, Math.min(made, total), 0);
    seen.push({ at: Date.now(), done });
    while (seen.length > 2 && Date.now() - (seen[0]?.at ?? 0) > 15_000) seen.shift();
    const first = seen[0] ?? { at: Date.now(), done };
    const seconds = (Date.now() - first.at) / 1000;
    const perSecond = seconds > 1 ? Math.max(0, done - first.done) / seconds : 0;
    return { done, total, perSecond, secondsLeft: perSecond > 0 ? (total - done) / perSecond : 0 };
  };
}

function liveLines(
  colors: Colors,
  header: ProgressHeader,
  snapshot: CycleSnapshot,
  pace: Pace,
  seconds: number,
  width: number,
): string[] {
  const title = `${colors.bold(header.fleet)} ${header.cycle}`;
  const lines = [
    "",
    `  ${title}  ${colors.cyan(phaseWords(snapshot))}  ${colors.dim(duration(seconds))}`,
    `  ${bar(colors, snapshot, pace.total, Math.max(20, width - 40))}  ${paceWords(pace)}`,
    ...stateLines(colors, snapshot.states),
  ];
  if (snapshot.withoutWorker) {
    lines.push(`  ${colors.yellow("no worker runs: start one with")} modelfleet worker`);
  }
  if (header.webPage !== undefined) lines.push(`  ${colors.dim(header.webPage)}`);
  return [...lines, ""];
}

/** What is under way on one line and what it came to on the next: neither wraps nor jumps. */
function stateLines(colors: Colors, states: StateCounts): string[] {
  const { exported, planned, training, trained, evaluated, approved, ...outcomes } = states;
  const underWay = { exported, planned, training, trained, evaluated, approved };
  return [underWay, outcomes].map(
    (group) => `  ${stateWords(group, colors).join(colors.dim(" · ")) || colors.dim("…")}`,
  );
}

function paceWords({ done, total, perSecond, secondsLeft }: Pace): string {
  if (total === 0) return "";
  const parts = [`${count(done)} of ${count(total)}`];
  if (perSecond > 0) parts.push(`${perSecond.toFixed(1)} a second`);
  if (secondsLeft > 0) parts.push(`${duration(secondsLeft)} left`);
  return parts.join(", ");
}

/** Serving, made, in the making, and ahead, each its share of the bar. */
function bar(colors: Colors, snapshot: CycleSnapshot, total: number, width: number): string {
  const { states } = snapshot;
  if (total <= 0) return colors.dim("╌".repeat(width));
  const of = (...names: (keyof StateCounts)[]) =>
    Math.round((width * names.reduce((sum, name) => sum + (states[name] ?? 0), 0)) / total);
  const failed = of("failed");
  const serving = of("serving");
  const made = of(
    ...(["pending", "approved", "champion-kept", "denied", "rejected"] as const),
    ...(["withdrawn", "superseded", "expired"] as const),
  );
  const making = Math.min(of("training", "trained", "evaluated"), width - failed - serving - made);
  const ahead = Math.max(0, width - failed - serving - made - making);
  return (
    colors.green("━".repeat(serving)) +
    colors.cyan("━".repeat(made)) +
    colors.red("━".repeat(failed)) +
    colors.yellow("╍".repeat(Math.max(0, making))) +
    colors.dim("╌".repeat(ahead))
  );
}

function phaseWords({ phase, exportedRows, withoutWorker }: CycleSnapshot): string {
  if (phase === "starting") return withoutWorker ? "waiting for a worker" : "starting";
  if (phase === "exporting" && exportedRows > 0) return `exporting, ${count(exportedRows)} rows`;
  return phase;
}

type Paint = "dim" | "yellow" | "cyan" | "green" | "red";

const STATE_WORDS: readonly (readonly [keyof StateCounts, string, Paint])[] = [
  ["exported", "exported", "dim"],
  ["planned", "to train", "dim"],
  ["training", "training", "yellow"],
  ["trained", "trained", "yellow"],
  ["evaluated", "evaluated", "yellow"],
  ["approved", "approved", "cyan"],
  ["serving", "serving", "green"],
  ["pending", "waiting for a decision", "cyan"],
  ["champion-kept", "champion kept", "cyan"],
  ["skipped", "skipped", "dim"],
  ["denied", "denied", "cyan"],
  ["rejected", "rejected", "red"],
  ["withdrawn", "withdrawn", "red"],
  ["superseded", "superseded", "cyan"],
  ["expired", "expired", "cyan"],
  ["failed", "failed", "red"],
];

/** "41 serving", "8 skipped", …: only states that somebody is in. */
export function stateWords(states: StateCounts, colors?: Colors): string[] {
  return STATE_WORDS.filter(([state]) => (states[state] ?? 0) > 0).map(([state, words, color]) => {
    const number = count(states[state] ?? 0);
    return colors === undefined ? `${number} ${words}` : `${colors[color](number)} ${words}`;
  });
}
