// Plays a short sale until it is sold out, and a short load test beside it, and asks a Prometheus that scrapes it every query of every panel, as Grafana
// would: none may fail, none may be empty. With --render DIR, draws each dashboard from the answers.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { DASHBOARDS } from "./dashboards.mjs";
import { dashboard } from "./panels.mjs";
import { draw } from "./draw.mjs";
import { Stage } from "./stage.mjs";

const into = process.argv[2] === "--render" ? process.argv[3] : undefined;
/** How far back is looked, in seconds. */
const SECONDS = 120;

const stage = new Stage({ perSecond: 40, units: 600 });
const complaints = [];
let [asked, panels, now] = [0, 0, 0];

/** What Grafana puts in for its variables. */
const filled = (expr) => expr.replaceAll("$job", "stampede").replaceAll("$instance", ".+").replaceAll("$__rate_interval", "10s").replaceAll("$__range", `${SECONDS}s`);

async function ask(expr, instant) {
  const parameters = instant ? { query: expr, time: now } : { query: expr, start: now - SECONDS, end: now, step: 1 };
  const answer = await fetch(`${stage.prometheus}/api/v1/query${instant ? "" : "_range"}`, { method: "POST", body: new URLSearchParams(parameters) });
  const body = await answer.json();
  if (body.status !== "success") throw new Error(body.error);
  const series = body.data.result.map(({ metric, value, values }) => ({ metric, values: (values ?? [value]).map(([at, text]) => [at, Number(text)]) }));
  return series.filter(({ values }) => values.some(([, number]) => Number.isFinite(number)));
}

try {
  await stage.open();
  const [loaded] = await Promise.all([stage.load(), stage.soldOut()]);
  if (loaded !== undefined) complaints.push(loaded);
  // The slowest rules are computed every 30 seconds.
  await sleep(30_000);
  now = Date.now() / 1000;
  // What is empty is seen to be.
  if ((await ask("stampede_no_such_metric", false)).length > 0) complaints.push("a metric that there is not has an answer");
  for (const spec of DASHBOARDS) {
    const board = dashboard(spec);
    const answers = [];
    for (const panel of board.panels) {
      const series = [];
      for (const { expr, instant, legendFormat } of panel.targets) {
        asked += 1;
        try {
          const found = await ask(filled(expr), instant);
          if (found.length === 0) complaints.push(`${spec.uid}, ${panel.title}: empty: ${expr}`);
          series.push(...found.map((one) => ({ ...one, legend: legendFormat.replace(/\{\{(\w+)\}\}/g, (_, label) => one.metric[label] ?? "") })));
        } catch (error) {
          complaints.push(`${spec.uid}, ${panel.title}: ${error.message}: ${expr}`);
        }
      }
      panels += 1;
      answers.push({ panel, series });
    }
    for (const { name, expr } of board.annotations.list) {
      // Most of what is annotated does not happen in a short sale; but the query must be one.
      await ask(filled(expr), false).catch((error) => complaints.push(`${spec.uid}, annotation ${name}: ${error.message}`));
    }
    if (into !== undefined) {
      mkdirSync(into, { recursive: true });
      writeFileSync(join(into, `${spec.uid}.svg`), draw(board, answers, [now - SECONDS, now]));
    }
  }
} finally {
  await stage.close();
}
for (const one of complaints) console.error(one);
console.log(`${DASHBOARDS.length} dashboards, ${panels} panels, ${asked} queries: ${complaints.length} empty or failing`);
process.exitCode = complaints.length === 0 ? 0 : 1;
