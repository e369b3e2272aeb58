/** What Prometheus would scrape of a pod: the relabelling of a scrape configuration, as far as ours use it. */
import { readFileSync } from "node:fs";
import { parse } from "yaml";
import { z } from "zod";

// https://prometheus.io/docs/prometheus/latest/configuration/configuration/
const configSchema = z.strictObject({
  global: z.strictObject({ scrape_interval: z.string().regex(/^\d+s$/) }),
  rule_files: z.tuple([z.literal("alerts.yaml")]),
  scrape_configs: z.tuple([
    z.strictObject({
      job_name: z.string(),
      kubernetes_sd_configs: z.tuple([
        z.strictObject({
          role: z.literal("pod"),
          namespaces: z.strictObject({ names: z.tuple([z.literal("modelfleet")]) }),
        }),
      ]),
      relabel_configs: z.array(
        z.strictObject({
          source_labels: z.array(z.string()),
          regex: z.string().default("(.*)"),
          action: z.enum(["replace", "keep", "drop"]).default("replace"),
          target_label: z.string().optional(),
          replacement: z.string().default("$1"),
        }),
      ),
    }),
  ]),
});

export interface ScrapedPod {
  readonly address: string;
  readonly annotations: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
  readonly ports: readonly number[];
}

type Labels = Readonly<Record<string, string>>;
type Rule = z.infer<typeof configSchema>["scrape_configs"][0]["relabel_configs"][0];

/** The addresses, each once, and the job that they belong to. */
export function scrapedTargets(file: string, pod: ScrapedPod) {
  const config = configSchema.parse(parse(readFileSync(file, "utf8")));
  const [{ job_name: job, relabel_configs: rules }] = config.scrape_configs;
  const found = pod.ports.map((port) => discovered(pod, port));
  const kept = found.map((labels) => relabelled(labels, rules)?.["__address__"]);
  return { job, targets: [...new Set(kept.filter((address) => address !== undefined))] };
}

/** The meta labels of one port of a pod: a character that no label may have is an underscore. */
function discovered({ address, annotations, labels }: ScrapedPod, port: number): Labels {
  const named = (kind: string, values: Labels): Labels =>
    Object.fromEntries(
      Object.entries(values).map(([name, value]) => [
        `__meta_kubernetes_pod_${kind}_${name.replaceAll(/[^a-zA-Z0-9_]/g, "_")}`,
        value,
      ]),
    );
  return {
    __address__: `${address}:${port}`,
    __meta_kubernetes_pod_container_port_number: String(port),
    __meta_kubernetes_pod_phase: "Running",
    __meta_kubernetes_pod_name: "modelfleet-worker-0",
    ...named("annotation", annotations),
    ...named("label", labels),
  };
}

/** Undefined when a rule drops it. Expressions are anchored, as Prometheus anchors them. */
function relabelled(labels: Labels, rules: readonly Rule[]): Labels | undefined {
  let left = labels;
  for (const { source_labels: names, regex, action, target_label: target, replacement } of rules) {
    const value = names.map((name) => left[name] ?? "").join(";");
    const expression = new RegExp(`^(?:${regex})$`);
    const matches = expression.test(value);
    if (action === "keep" && !matches) return undefined;
    if (action === "drop" && matches) return undefined;
    if (action === "replace" && matches && target !== undefined)
      left = { ...left, [target]: value.replace(expression, replacement) };
  }
  return left;
}
