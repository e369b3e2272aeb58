/** Metrics as SageMaker finds them: regular expressions over what a training script prints. */
import { validationError } from "./errors.js";

export interface MetricPattern {
  readonly name: string;
  readonly regex: RegExp;
}

export interface Metric {
  readonly MetricName: string;
  readonly Value: number;
  readonly Timestamp: number;
}

/** A user's regular expression must not meet a line without end. */
const longestLine = 64 * 1024;

/** Throws a ValidationException for a regular expression that cannot be compiled. */
export function readMetricDefinitions(
  definitions: readonly { Name: string; Regex: string }[],
): MetricPattern[] {
  return definitions.map(({ Name, Regex }) => {
    try {
      return { name: Name, regex: new RegExp(Regex) };
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw validationError(`Invalid regular expression in metric definition ${Name}: ${reason}`);
    }
  });
}

/** A script that prints one of these has no value any more, whatever it printed before. */
const notANumber = /^[-+]?(nan|inf|infinity)$/i;

/** Keeps the last value of each metric; the first capture group holds the number. */
export function createMetricScanner(
  patterns: readonly MetricPattern[],
  onMetric: (metric: Metric) => void,
) {
  const last = new Map<string, Metric>();
  return {
    scan(line: string, at: number): void {
      const text = line.slice(0, longestLine);
      for (const { name, regex } of patterns) {
        const captured = regex.exec(text)?.[1];
        if (captured === undefined || captured.trim() === "") continue;
        const value = Number(captured);
        if (notANumber.test(captured.trim())) last.delete(name);
        if (!Number.isFinite(value)) continue;
        const metric = { MetricName: name, Value: value, Timestamp: at };
        last.set(name, metric);
        onMetric(metric);
      }
    },
    /** In the order of the definitions. */
    final: (): Metric[] =>
      patterns.flatMap(({ name }) => {
        const metric = last.get(name);
        return metric === undefined ? [] : [metric];
      }),
  };
}
