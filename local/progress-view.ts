/** Shows a stack's progress: one live line per part on a terminal, else a plain line per step. */
import { createLogUpdate } from "log-update";
import type { Progress } from "./stack/progress.js";
import type { LocalShell } from "./shell.js";

export interface ProgressView {
  readonly onProgress: (progress: Progress) => void;
  /** Leaves the last picture on the screen. */
  readonly done: () => void;
}

const frames = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];
const frameMilliseconds = 100;

export function progressView(shell: LocalShell): ProgressView {
  const { isTTY, columns = 80 } = shell.stderr;
  // A terminal that has no width, as some CI systems make them, would show nothing of a live view.
  return isTTY === true && columns > 0 ? liveView(shell) : plainView(shell);
}

function plainView(shell: LocalShell): ProgressView {
  let last = "";
  return {
    onProgress: (progress) => {
      const line = `${progress.part}: ${sentence(progress)}`;
      // The reason of a failure follows as the command's error.
      if (line === last || progress.state === "failed") return;
      last = line;
      shell.stderr.write(`${line}\n`);
    },
    done: () => undefined,
  };
}

function liveView(shell: LocalShell): ProgressView {
  const update = createLogUpdate(process.stderr);
  const parts = new Map<string, Progress>();
  let frame = 0;
  const draw = () =>
    update([...parts.values()].map((one) => liveLine(shell, one, frame)).join("\n"));
  const timer = setInterval(() => {
    frame += 1;
    draw();
  }, frameMilliseconds);
  timer.unref();
  return {
    onProgress: (progress) => {
      parts.set(progress.part, progress);
      draw();
    },
    done: () => {
      clearInterval(timer);
      if (parts.size > 0) draw();
      update.done();
    },
  };
}

function liveLine(shell: LocalShell, progress: Progress, frame: number): string {
  const colors = shell.progressColors;
  const marks = {
    working: colors.cyan(frames[frame % frames.length] ?? ""),
    ready: colors.green("✓"),
    failed: colors.red("✗"),
  };
  const text = progress.state === "failed" ? "failed" : sentence(progress);
  return `${marks[progress.state]} ${progress.part.padEnd(10)} ${text}`;
}

function sentence({ message, seconds }: Progress): string {
  return seconds === undefined ? message : `${message} (${seconds.toFixed(1)} s)`;
}
