// What docs/metrics.md and docs/load-metrics.md say there is: names, types, labels and their values. And whether an expression keeps to it.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("../..", import.meta.url));

/** Labels that Prometheus adds, not the server. */
const ADDED = ["job", "instance", "le"];
/** Series that are Prometheus's own. */
const FOREIGN = { up: [], ALERTS: ["alertname", "alertstate", "severity", "slo"] };

/** The pages with tables: the server's, and the load generator's. */
const PAGES = ["docs/metrics.md", "docs/load-metrics.md"];

/** Their tables by name. A label whose values are no closed list has `undefined` for them. */
export function readCatalogue(text = PAGES.map((page) => readFileSync(`${root}/${page}`, "utf8")).join("\n")) {
  const metrics = new Map();
  for (const line of text.split("\n")) {
    const [, name, type, labels, meaning] = /^\| `(stampede_\w+)` \| (\w+) \| (.*?) \| (.*) \|$/.exec(line) ?? [];
    if (name === undefined) continue;
    const byLabel = new Map();
    for (const part of labels.split(";")) {
      const [, label, values] = /^\s*`(\w+)`: (.*)$/.exec(part) ?? [];
      if (label === undefined) continue;
      const listed = [...values.matchAll(/`([^`]+)`/g)].map(([, value]) => value);
      byLabel.set(label, listed.length === 0 || / to `/.test(values) ? undefined : listed);
    }
    metrics.set(name, { name, type, labels: byLabel, meaning });
  }
  if (metrics.size < 50) throw new Error(`${PAGES.join(", ")}: only ${metrics.size} metrics were read`);
  return metrics;
}

/** The metric behind a name in an expression: a histogram's parts have names of their own. */
function metricOf(name, catalogue) {
  const plain = name.replace(/_(bucket|sum|count)$/, "");
  const histogram = catalogue.get(plain);
  if (plain !== name && histogram?.type === "histogram") return histogram;
  const metric = catalogue.get(name);
  return metric?.type === "histogram" ? undefined : metric;
}

/** Every selector of an expression: its name and its matchers. Text in quotes is no name. */
export function selectors(expression) {
  const found = [];
  const blank = expression.replace(/"(?:[^"\\]|\\.)*"/g, (quoted) => `"${" ".repeat(quoted.length - 2)}"`);
  for (const match of blank.matchAll(/(?<![\w:$"])(stampede[_:][\w:]*|up|ALERTS)(?![\w:(])(\{)?/g)) {
    const from = match.index + match[0].length;
    const matchers = match[2] === undefined ? "" : expression.slice(from, blank.indexOf("}", from));
    found.push({ name: match[1], matchers: [...matchers.matchAll(/(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"/g)].map(([, label, op, value]) => ({ label, op, value })) });
  }
  return found;
}

/** What an expression asks for that is not there: metrics, recorded series, labels, values. */
export function strangers(expression, catalogue, recorded) {
  const complaints = [];
  for (const { name, matchers } of selectors(expression)) {
    if (name.includes(":")) {
      if (!recorded.has(name)) complaints.push(`${name} is recorded by no rule`);
      continue;
    }
    const metric = metricOf(name, catalogue);
    if (metric === undefined && !(name in FOREIGN)) {
      complaints.push(`${name} is not in ${PAGES.join(" or ")}`);
      continue;
    }
    const labels = metric?.labels ?? new Map((FOREIGN[name] ?? []).map((label) => [label, undefined]));
    for (const { label, value } of matchers) {
      if (ADDED.includes(label)) continue;
      if (!labels.has(label)) complaints.push(`${name} has no label ${label}`);
      const known = labels.get(label);
      if (known === undefined || value.startsWith("$")) continue;
      for (const one of value.split("|")) {
        if (one !== ".+" && !known.includes(one)) complaints.push(`${name}: ${label} is never ${one}`);
      }
    }
  }
  return complaints;
}
