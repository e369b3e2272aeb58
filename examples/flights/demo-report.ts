/** The demo's closing report: what was trained, how good it is, how fast it answers, what to try next. */
import { tableLines } from "../../client/cli/print.js";
import type { Shell } from "../../client/cli/shell.js";
import { change, count, duration, figure, several } from "../../client/cli/words.js";
import type { Connections } from "../../client/connections.js";
import {
  askLedger,
  readCustomers,
  readCycle,
  type Cycle,
  type CycleCustomer,
} from "../../client/ledger.js";
import type { Model } from "../../client/models.js";
import type { CycleRun } from "../../client/run-cycle.js";
import { readCycleSearches, type CycleSearches } from "../../client/tuning-history.js";
import { FLEET, type Answer } from "./demo-cycle.js";
import type { WayBack } from "./demo-way-back.js";

interface Judged {
  readonly customer: string;
  readonly rmse: number;
  readonly baseline: number;
  readonly champion: number | null;
  /** Of the first call after publishing, which loads the model. */
  readonly coldMs: number | null;
}

export interface DemoOutcome {
  readonly run: CycleRun;
  readonly approved: Model | undefined;
  readonly answers: readonly Answer[];
  /** Undefined in a first cycle: nothing served before. */
  readonly wayBack: WayBack | undefined;
  readonly webPage: string | undefined;
  /** The stack is about to be stopped. */
  readonly ephemeral: boolean;
}

export async function reportLines(
  shell: Shell,
  connections: Connections,
  outcome: DemoOutcome,
): Promise<string[]> {
  const { cycle: id } = outcome.run;
  const cycle = await readCycle(connections, { fleet: FLEET, cycle: id });
  const judged = await readJudged(connections, id);
  const leftOut = await readCustomers(connections, {
    fleet: FLEET,
    cycle: id,
    states: ["skipped", "failed", "rejected"],
  });
  const { bold } = shell.colors;
  const title = (text: string) => ["", bold(text)];
  return [
    ...title("What was done"),
    ...doneLines(shell, cycle, judged, leftOut),
    ...searchLines(shell, (await readCycleSearches(connections, FLEET)).get(id)),
    ...wayBackLines(shell, outcome.wayBack),
    ...title("How good the models are  (arrival delay in minutes, RMSE on flights held out)"),
    ...qualityLines(shell, judged),
    ...title("What the endpoint answers  (InvokeEndpoint with TargetModel)"),
    ...answerLines(shell, outcome.answers, judged),
    ...title("See it"),
    "  this run, every customer and step of it, in Temporal's web UI:",
    `  ${shell.colors.underline(outcome.webPage ?? "npx modelfleet local status")}`,
    ...title("Try next"),
    ...nextLines(shell, cycle, outcome),
    "",
  ];
}

async function readJudged(connections: Connections, cycle: string): Promise<Judged[]> {
  const rows = await askLedger<{
    customer: string;
    rmse: number;
    baseline: number;
    champion: number | null;
    cold_ms: number | null;
  }>(
    connections,
    `select u.customer, (e.metrics ->> 'rmse')::float8 as rmse,
            (e.baseline_metrics ->> 'rmse')::float8 as baseline,
            (e.champion_metrics ->> 'rmse')::float8 as champion,
            (p.verification ->> 'latencyMs')::float8 as cold_ms
       from evaluations e
       join customers u using (fleet, cycle, customer_key)
       left join releases r using (fleet, cycle, customer_key)
       left join publications p
              on p.fleet = r.fleet and p.customer_key = r.customer_key and p.version = r.version
      where e.fleet = $1 and e.cycle = $2`,
    [FLEET, cycle],
  );
  return rows.map(({ cold_ms: coldMs, ...row }) => ({ ...row, coldMs }));
}

function doneLines(
  shell: Shell,
  cycle: Cycle,
  judged: readonly Judged[],
  leftOut: readonly CycleCustomer[],
): string[] {
  const { colors } = shell;
  const { states } = cycle;
  const seconds =
    (Date.parse(cycle.endedAt ?? cycle.startedAt) - Date.parse(cycle.startedAt)) / 1000;
  const skipped = leftOut.filter(({ state }) => state === "skipped");
  const broken = leftOut.filter(({ state }) => state !== "skipped");
  const decided = [
    `${states.serving ?? 0} serve`,
    `${states.pending ?? 0} wait for a decision`,
    ...(states["champion-kept"] ? [`${states["champion-kept"]} stayed with their champion`] : []),
  ];
  const few = [...skipped].sort((a, b) => rowsOf(a) - rowsOf(b)).map(({ customer }) => customer);
  return [
    ...field(
      shell,
      "trained",
      `${several(judged.length, "model")} from ${count(cycle.rows ?? 0)} flights in ${colors.bold(duration(seconds))}: ${decided.join(", ")}`,
    ),
    ...field(
      shell,
      "skipped",
      `${several(skipped.length, "destination")} with too few flights (${shorten(few)})`,
    ),
    ...(broken.length === 0
      ? field(shell, "failed", "none")
      : broken.flatMap(({ customer, reason }) =>
          field(shell, colors.red("failed"), `${customer}: ${reason ?? "for no reason on record"}`),
        )),
  ];
}

function searchLines(shell: Shell, searches: CycleSearches | undefined): string[] {
  if (searches === undefined) return [];
  const { jobs, trials, warmStarts } = searches;
  const warm = warmStarts.identical + warmStarts.transfer;
  const from =
    warm === 0
      ? "all from nothing, as there was none before"
      : `${warm} of them from what the searches before had found`;
  const text = `${several(jobs, "search", "searches")} of ${several(trials, "training job")} in all, ${from}`;
  return field(shell, "tuned", text);
}

function wayBackLines(shell: Shell, wayBack: WayBack | undefined): string[] {
  if (wayBack === undefined) return [];
  const { customer, denied, servesAgain, seconds, predicted, same } = wayBack;
  const minutes = (value: number) => value.toFixed(2);
  return [
    ...field(
      shell,
      "denied",
      `version ${denied} of ${customer}; version ${servesAgain} serves again after ${seconds.toFixed(1)} s, ` +
        `and says ${minutes(predicted.again)} min instead of ${minutes(predicted.denied)} min of the same flight`,
    ),
    ...field(
      shell,
      "",
      `${same.rows} of ${same.of} held-out predictions are to the last digit those of version ${servesAgain}'s training`,
    ),
  ];
}

const rowsOf = ({ rows }: CycleCustomer) => rows.train + rows.validation + rows.test;

function shorten(names: readonly string[]): string {
  return names.length <= 4 ? names.join(", ") : `${names.slice(0, 4).join(", ")} …`;
}

function qualityLines(shell: Shell, judged: readonly Judged[]): string[] {
  if (judged.length === 0) return ["  no model was judged"];
  const { colors } = shell;
  const byGain = [...judged].sort((a, b) => a.rmse / a.baseline - b.rmse / b.baseline);
  const [best, worst] = [byGain[0], byGain.at(-1)];
  const compared = judged.flatMap(({ champion, rmse }) =>
    champion === null ? [] : [{ champion, rmse }],
  );
  const row = (name: string, model: number, mean: number) => [
    name,
    figure(model),
    figure(mean),
    paint(shell, change(model, mean)),
  ];
  const rows = [
    row(
      "the median destination",
      median(judged.map((one) => one.rmse)),
      median(judged.map((one) => one.baseline)),
    ),
    ...[best, worst].flatMap((one, place) =>
      one === undefined
        ? []
        : [row(`${place === 0 ? "best" : "least"}: ${one.customer}`, one.rmse, one.baseline)],
    ),
  ];
  const better = judged.filter((one) => one.rmse < one.baseline).length;
  const lines = [
    ...tableLines(
      shell,
      [{ title: "" }, right("model"), right("predict the mean"), right("error")],
      rows,
    ),
    `  ${better} of ${judged.length} models beat predict-the-mean`,
  ];
  if (compared.length > 0) {
    const won = compared.filter(({ champion, rmse }) => rmse < champion).length;
    lines.push(
      `  ${won} of ${compared.length} challengers beat last month's champion on the same flights ` +
        colors.dim("(the policy asks 2 %)"),
    );
  }
  return lines;
}

function answerLines(
  shell: Shell,
  answers: readonly Answer[],
  judged: readonly Judged[],
): string[] {
  const minutes = (value: number) => `${value < 0 ? "−" : "+"}${Math.abs(Math.round(value))} min`;
  const rows = answers.map((answer) => [
    answer.customer,
    answer.departure,
    minutes(answer.departureDelay),
    shell.colors.bold(minutes(answer.predicted)),
    minutes(answer.happened),
    milliseconds(median(answer.warmMs)),
  ]);
  const columns = [
    { title: "to" },
    { title: "a flight of" },
    right("left"),
    right("predicted"),
    right("arrived"),
    right("answer in"),
  ];
  const cold = judged.flatMap(({ coldMs }) => (coldMs === null ? [] : [coldMs]));
  const warm = answers.flatMap(({ warmMs }) => warmMs);
  return [
    ...tableLines(shell, columns, rows),
    ...(cold.length === 0
      ? []
      : [
          `  cold ${milliseconds(median(cold))}: the median first call of ${cold.length} models, which loads them`,
        ]),
    `  warm ${milliseconds(median(warm))}: the median of ${warm.length} calls after that`,
  ];
}

function nextLines(shell: Shell, cycle: Cycle, outcome: DemoOutcome): string[] {
  const commands = outcome.ephemeral
    ? [
        ["npm run demo", "the next month, on a stack that stays up"] as const,
        ["npx modelfleet local up", "this stack again, with all that was made"] as const,
      ]
    : nextCommands(cycle, outcome);
  const width = Math.max(...commands.map(([command]) => command.length));
  return commands.map(
    ([command, what]) => `  ${shell.colors.cyan(command.padEnd(width))}  ${shell.colors.dim(what)}`,
  );
}

function nextCommands(
  cycle: Cycle,
  { answers, approved }: DemoOutcome,
): (readonly [command: string, what: string])[] {
  const customer = approved?.customer ?? answers[0]?.customer ?? "ATL";
  const largest = answers[0]?.customer ?? "ATL";
  const waiting = [
    `npx modelfleet models ${FLEET} --pending`,
    "what waits for your decision",
  ] as const;
  return [
    ["npm run demo", "the next month: challengers against the champions of this one"],
    ...((cycle.states.pending ?? 0) > 0 ? [waiting] : []),
    [
      `npx modelfleet lineage ${FLEET} ${customer}`,
      "a served model, back to its SQL, data and approver",
    ],
    [
      `npx modelfleet history ${FLEET} ${largest}`,
      "its evaluations and searches, and where each search started from",
    ],
    [`npx modelfleet invoke ${FLEET} ${customer} --sample`, "ask it yourself"],
    ["npx modelfleet local status", "what runs in the background"],
    ["npx modelfleet local down", "stop it; the state stays"],
  ];
}

function field(shell: Shell, name: string, value: string): string[] {
  return [`  ${shell.colors.dim(name.padEnd(8))}  ${value}`];
}

const right = (title: string) => ({ title, align: "right" }) as const;

function milliseconds(value: number): string {
  return `${value.toFixed(value < 10 ? 1 : 0)} ms`;
}

function paint(shell: Shell, text: string): string {
  return text.startsWith("−") ? shell.colors.green(text) : text;
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? NaN) + upper) / 2;
}
