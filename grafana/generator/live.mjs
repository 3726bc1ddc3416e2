// Asks a running Prometheus every query of every panel, as Grafana would: none may fail, none may be empty. With --render
// DIR, draws each dashboard from the answers.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DASHBOARDS } from "./dashboards.mjs";
import { dashboard } from "./panels.mjs";
import { draw } from "./draw.mjs";

const [prometheus, ...rest] = process.argv.slice(2);
const into = rest[0] === "--render" ? rest[1] : undefined;
const SECONDS = 120;
const now = Date.now() / 1000;
/** What Grafana puts in for its variables. */
const filled = (expr) => expr.replaceAll("$job", "stampede").replaceAll("$instance", ".+").replaceAll("$__rate_interval", "10s").replaceAll("$__range", `${SECONDS}s`);

async function ask(expr, instant) {
  const parameters = instant ? { query: expr, time: now } : { query: expr, start: now - SECONDS, end: now, step: 1 };
  const answer = await fetch(`${prometheus}/api/v1/query${instant ? "" : "_range"}`, { method: "POST", body: new URLSearchParams(parameters) });
  const body = await answer.json();
  if (body.status !== "success") throw new Error(body.error);
  const series = body.data.result.map(({ metric, value, values }) => ({ metric, values: (values ?? [value]).map(([at, text]) => [at, Number(text)]) }));
  return series.filter(({ values }) => values.some(([, number]) => Number.isFinite(number)));
}

let [asked, panels] = [0, 0];
const complaints = [];
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
for (const one of complaints) console.error(one);
console.log(`${DASHBOARDS.length} dashboards, ${panels} panels, ${asked} queries: ${complaints.length} empty or failing`);
process.exitCode = complaints.length === 0 ? 0 : 1;
