/** The manifests of deploy/kubernetes, read, and checked against Kubernetes' and KEDA's schemas. */
import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { ScaledObject, TriggerAuthentication } from "@kubernetes-models/keda/keda.sh/v1alpha1";
import { Deployment } from "kubernetes-models/apps/v1";
import { NetworkPolicy } from "kubernetes-models/networking.k8s.io/v1";
import { PodDisruptionBudget } from "kubernetes-models/policy/v1";
import { ConfigMap, Namespace, Service, ServiceAccount } from "kubernetes-models/v1";
import { parseAllDocuments } from "yaml";
import { z } from "zod";

const MODELS = {
  "v1 Namespace": Namespace,
  "v1 ServiceAccount": ServiceAccount,
  "v1 ConfigMap": ConfigMap,
  "v1 Service": Service,
  "apps/v1 Deployment": Deployment,
  "policy/v1 PodDisruptionBudget": PodDisruptionBudget,
  "networking.k8s.io/v1 NetworkPolicy": NetworkPolicy,
  "keda.sh/v1alpha1 ScaledObject": ScaledObject,
  "keda.sh/v1alpha1 TriggerAuthentication": TriggerAuthentication,
} as const;

const headSchema = z.looseObject({
  apiVersion: z.string(),
  kind: z.string(),
  metadata: z.looseObject({ name: z.string() }),
});
export type Manifest = z.infer<typeof headSchema> & { readonly file: string };

/** All of a folder's resources; its kustomization is not one. */
export function manifestsIn(folder: string): Manifest[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith(".yaml") && name !== "kustomization.yaml")
    .sort()
    .flatMap((name) => resourcesOf(join(folder, name)));
}

function resourcesOf(file: string): Manifest[] {
  return parseAllDocuments(readFileSync(file, "utf8"), { merge: true }).map((document) => {
    if (document.errors.length > 0) throw new Error(`${file}: ${String(document.errors[0])}`);
    return { ...headSchema.parse(document.toJS()), file: basename(file) };
  });
}

/** What a schema has against a resource: what it refuses, and each field that it does not know. */
export function problemsOf({ file: _, ...resource }: Manifest): string[] {
  const name = `${resource.apiVersion} ${resource.kind}`;
  const known = Object.entries(MODELS).find(([of]) => of === name);
  if (known === undefined) return [`no schema of ${name} is at hand`];
  const looked = new Set<string>();
  const validate = known[1].prototype.validate;
  try {
    Reflect.apply(validate, watched(resource, "", looked), []);
  } catch (error) {
    return [error instanceof Error ? error.message : String(error)];
  }
  return fieldsOf(resource, "")
    .filter((path) => !looked.has(path))
    .map((path) => `${path} is no field of ${name}`);
}

/** Kubernetes' schemas let unknown fields pass, and the server drops them: what is never looked at is unknown. */
function watched(value: object, path: string, looked: Set<string>): object {
  return new Proxy(value, {
    get: (target, key, receiver): unknown => {
      const member: unknown = Reflect.get(target, key, receiver);
      if (typeof key !== "string" || !Object.hasOwn(target, key)) return member;
      looked.add(`${path}/${key}`);
      return typeof member === "object" && member !== null
        ? watched(member, `${path}/${key}`, looked)
        : member;
    },
  });
}

function fieldsOf(value: unknown, path: string): string[] {
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, member]) => [
    `${path}/${key}`,
    ...fieldsOf(member, `${path}/${key}`),
  ]);
}
