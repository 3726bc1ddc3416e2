// Checks deploy/kubernetes without a cluster: each object against Kubernetes' own types (the npm package kubernetes-types),
// this project's rules, and whether the server takes its settings. `node dev/compose/kubernetes.mjs [path of stampede]`.
import { execFileSync } from "node:child_process";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseAllDocuments } from "yaml";

const root = fileURLToPath(new URL("../..", import.meta.url));
const here = fileURLToPath(new URL(".", import.meta.url));

/** The objects of a manifest. */
export const objects = (text) => parseAllDocuments(text, { uniqueKeys: true }).map((one) => {
  if (one.errors.length > 0) throw one.errors[0];
  return one.toJS();
});

const moduleOf = (apiVersion) => (apiVersion === "v1" ? "core/v1" : apiVersion.replace(".k8s.io/", "/"));

/** What Kubernetes' types say against them: a field that there is not, or of another kind. */
export function againstTypes(all) {
  const lines = all.flatMap((one, index) => [
    `import type { ${one.kind} as Kind${index} } from "kubernetes-types/${moduleOf(one.apiVersion)}.d.ts";`,
    `export const object${index}: Kind${index} = ${JSON.stringify(one, null, 1)};`,
  ]);
  const file = `${here}kubernetes.check.ts`;
  writeFileSync(file, lines.join("\n"));
  try {
    execFileSync("node", [`${here}node_modules/typescript/bin/tsc`, "--noEmit", "--strict", "--skipLibCheck", "--allowImportingTsExtensions", "--target", "es2022", "--module", "nodenext", file], { encoding: "utf8", cwd: here });
    return [];
  } catch (error) {
    return error.stdout.trim().split("\n");
  } finally {
    rmSync(file);
  }
}

/** What our own rules say against them. */
export function againstRules(all) {
  const complaints = [];
  const named = (kind) => new Set(all.filter((one) => one.kind === kind).map((one) => one.metadata.name));
  const workloads = all.filter(({ kind }) => ["StatefulSet", "Deployment"].includes(kind));
  const matches = (labels, selector) => Object.entries(selector).every(([name, value]) => labels[name] === value);
  for (const { kind, metadata, spec } of workloads) {
    const wrong = (what) => complaints.push(`${kind} ${metadata.name}: ${what}`);
    const { template } = spec;
    const pod = template.spec;
    if (!matches(template.metadata.labels, spec.selector.matchLabels)) wrong("its selector does not select its own pods");
    if (pod.securityContext?.runAsNonRoot !== true || !(pod.securityContext?.runAsUser > 0)) wrong("runs as root");
    if (pod.automountServiceAccountToken !== false) wrong("has a token of the cluster's API that it does not need");
    if (!(pod.topologySpreadConstraints?.length > 0)) wrong("its pods may all be on one node");
    if (!named("ServiceAccount").has(pod.serviceAccountName)) wrong(`there is no service account ${pod.serviceAccountName}`);
    const drain = Number(/^(\d+)s$/.exec(all.find((one) => one.kind === "ConfigMap").data.STAMPEDE_API_DRAIN)[1]);
    for (const container of pod.containers) {
      const before = container.lifecycle?.preStop?.sleep?.seconds ?? 0;
      if (drain + before >= pod.terminationGracePeriodSeconds) wrong("is killed before it has drained");
      if (/:latest$|^[^:]+$/.test(container.image)) wrong("its image needs a tag, and not latest");
      const { allowPrivilegeEscalation, readOnlyRootFilesystem, capabilities } = container.securityContext ?? {};
      if (allowPrivilegeEscalation !== false || readOnlyRootFilesystem !== true || capabilities?.drop?.[0] !== "ALL") wrong("may do more than it needs");
      if (!container.resources?.limits?.memory || !container.resources?.requests?.cpu) wrong("no requests, or no limit of memory");
      const volumes = new Set([...(pod.volumes ?? []), ...(spec.volumeClaimTemplates ?? []).map((one) => one.metadata)].map(({ name }) => name));
      for (const { name } of container.volumeMounts ?? []) if (!volumes.has(name)) wrong(`there is no volume ${name}`);
      const ports = new Set(container.ports.map(({ name }) => name));
      for (const probe of ["startupProbe", "readinessProbe", "livenessProbe"]) {
        if (kind === "StatefulSet" && !ports.has(container[probe]?.httpGet?.port)) wrong(`${probe}: missing, or on no port`);
      }
      for (const { configMapRef } of container.envFrom ?? []) if (!named("ConfigMap").has(configMapRef.name)) wrong(`there is no ConfigMap ${configMapRef.name}`);
    }
  }
  const selects = (selector) => workloads.some(({ spec }) => matches(spec.template.metadata.labels, selector));
  for (const { kind, metadata, spec } of all) {
    const selector = { Service: spec?.selector, PodDisruptionBudget: spec?.selector?.matchLabels, NetworkPolicy: spec?.podSelector?.matchLabels }[kind];
    if (selector !== undefined && !selects(selector)) complaints.push(`${kind} ${metadata.name}: selects nothing`);
    if (kind === "HorizontalPodAutoscaler" && !named(spec.scaleTargetRef.kind).has(spec.scaleTargetRef.name)) complaints.push(`${kind} ${metadata.name}: scales nothing`);
    if (kind === "StatefulSet" && !named("Service").has(spec.serviceName)) complaints.push(`${kind} ${metadata.name}: there is no service ${spec.serviceName}`);
  }
  for (const kind of ["PodDisruptionBudget", "NetworkPolicy", "HorizontalPodAutoscaler"]) if (named(kind).size === 0) complaints.push(`there is no ${kind}`);
  return complaints;
}

/** Asks the server whether it would take the settings that it is given. */
export function againstServer(all, stampede) {
  const environment = { ...all.find(({ kind }) => kind === "ConfigMap").data };
  for (const { name, value } of all.find(({ kind }) => kind === "StatefulSet").spec.template.spec.containers[0].env) {
    if (name.startsWith("STAMPEDE_") && value !== undefined) environment[name] = value.replace("$(POD)", "stampede-0");
  }
  for (const [, name, value] of readFileSync(`${root}/Dockerfile`, "utf8").matchAll(/(STAMPEDE_[A-Z_]+)=(\S+)/g)) environment[name] ??= value;
  try {
    execFileSync(stampede, ["config", "explain"], { cwd: "/", env: environment, stdio: ["ignore", "pipe", "pipe"] });
    return [];
  } catch (error) {
    return [`the server refuses its settings: ${error.stderr ?? error}`];
  }
}

export const manifest = () => readFileSync(`${root}/deploy/kubernetes/stampede.yaml`, "utf8");

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const all = objects(manifest());
  const complaints = [...againstTypes(all), ...againstRules(all), ...(process.argv[2] === undefined ? [] : againstServer(all, process.argv[2]))];
  for (const complaint of complaints) console.error(complaint);
  if (complaints.length > 0) process.exit(1);
  console.log(`deploy/kubernetes: ${all.length} objects keep their types and rules`);
}
