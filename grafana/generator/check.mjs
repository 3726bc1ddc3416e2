// Checks rules, alerts and dashboards: written as generated, only metrics that there are, firing and silent tests, runbooks,
// panels whole and side by side.
// With --mutants, that the tests notice each wrong version of an alert; that takes some minutes.
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { ALERTS, RUNBOOKS, condition } from "./alerts.mjs";
import { readCatalogue, root, strangers } from "./catalogue.mjs";
import { survivors } from "./mutants.mjs";
import { each, promtool } from "./promtool.mjs";
import { RECORDS, recorded } from "./rules.mjs";
import { DASHBOARDS } from "./dashboards.mjs";
import { COLUMNS, dashboard } from "./panels.mjs";
import { FOLDERS, generated, stale } from "./write.mjs";

const complaints = [];
const complain = (...words) => complaints.push(words.join(" "));

// 1. What is in the repository is what the generator writes.
const files = generated();
for (const path of stale(files, FOLDERS)) complain(`${path}: not as generated; run node grafana/generator/write.mjs`);

// 2. Expressions ask for what docs/metrics.md has.
const catalogue = readCatalogue();
const boards = DASHBOARDS.map((spec) => [spec, dashboard(spec)]);
const expressions = [
  ...boards.flatMap(([spec, { panels, annotations }]) => [
    ...panels.flatMap(({ title, targets }) => targets.map(({ expr }) => [`${spec.uid}, ${title}`, expr])),
    ...annotations.list.map(({ name, expr }) => [`${spec.uid}, ${name}`, expr]),
  ]),
  ...RECORDS.flatMap(({ rules }) => rules.map(({ record, expr }) => [record, expr])),
  ...ALERTS.map((alert) => [alert.name, condition(alert)]),
];
for (const [name, expr] of expressions) for (const what of strangers(expr, catalogue, recorded)) complain(`${name}: ${what}`);

// 3. Each alert fires in one test and is silent in another; one that always fires has no other.
for (const alert of ALERTS) {
  if (alert.fires === undefined) complain(`${alert.name}: no test in which it fires`);
  if (!alert.always && (alert.silent ?? []).length === 0) complain(`${alert.name}: no test in which it is silent`);
}
const paths = [...files.keys()];
const rules = paths.filter((path) => path.includes("/rules/")).map((path) => root + path);
const checked = await promtool("check", "rules", ...rules);
if (!checked.ok) complain(checked.said);
const tests = paths.filter((path) => path.includes("/tests/"));
const results = await each(tests, (path) => promtool("test", "rules", root + path));
results.forEach(({ ok, said }, index) => ok || complain(`${tests[index]}: ${said}`));

// 4. Each alert has a runbook with all its parts, and each runbook an alert. Its links lead somewhere.
const PARTS = ["## Meaning", "## Impact", "## Diagnosis", "## Mitigation"];
const names = new Set(ALERTS.map((alert) => alert.name));
for (const name of names) {
  const path = `${RUNBOOKS}/${name}.md`;
  if (!existsSync(root + path)) {
    complain(`${path}: missing`);
    continue;
  }
  const text = readFileSync(root + path, "utf8");
  if (!text.startsWith(`# ${name}\n`)) complain(`${path}: does not begin with # ${name}`);
  for (const part of PARTS) {
    const body = text.split(`${part}\n`)[1]?.split("\n## ")[0].trim();
    if (!body) complain(`${path}: nothing under ${part}`);
  }
  for (const [, link] of text.matchAll(/\]\((?!https?:|#)([^)#]+)/g)) {
    if (!existsSync(`${root}${RUNBOOKS}/${link}`)) complain(`${path}: ${link} is not there`);
  }
  // Prose may name a histogram as a whole.
  const named = text.replace(/stampede_\w+/g, (name) => (catalogue.get(name)?.type === "histogram" ? `${name}_count` : name));
  for (const what of strangers(named, catalogue, recorded)) complain(`${path}: ${what}`);
}
const runbooks = existsSync(root + RUNBOOKS) ? readdirSync(root + RUNBOOKS) : [];
for (const file of runbooks) if (file !== "README.md" && !names.has(file.replace(/\.md$/, ""))) complain(`${RUNBOOKS}/${file}: no such alert`);

// 5. Dashboards: every panel says what it means and in which unit, beside its neighbours and not over them; each link leads
// somewhere; each alert has its dashboard.
const uids = new Set(DASHBOARDS.map(({ uid }) => uid));
if (uids.size !== DASHBOARDS.length) complain("two dashboards have one uid");
for (const alert of ALERTS) if (!uids.has(alert.dashboard)) complain(`${alert.name}: there is no dashboard ${alert.dashboard}`);
for (const [spec, { panels }] of boards) {
  const taken = new Map();
  for (const [index, { title, description, type, fieldConfig, gridPos, targets }] of panels.entries()) {
    const at = `${spec.uid}, ${title}`;
    const { alerts = [], next } = spec.panels[index];
    if (!(description?.length > 10)) complain(`${at}: no description`);
    if (!fieldConfig.defaults.unit) complain(`${at}: no unit`);
    if (targets.length === 0) complain(`${at}: no query`);
    if (!uids.has(next)) complain(`${at}: links to no dashboard`);
    for (const name of alerts) if (!names.has(name)) complain(`${at}: there is no alert ${name}`);
    if (gridPos.x + gridPos.w > COLUMNS) complain(`${at}: too wide`);
    for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
        if (taken.has(`${x},${y}`)) complain(`${at}: lies over ${taken.get(`${x},${y}`)}`);
        taken.set(`${x},${y}`, title);
      }
    }
    if (!["timeseries", "stat", "gauge", "bargauge", "heatmap", "state-timeline", "table"].includes(type)) complain(`${at}: ${type}?`);
  }
  if (new Set(panels.map(({ id }) => id)).size !== panels.length) complain(`${spec.uid}: two panels have one id`);
}

// 6. The tests can fail.
let mutants = "";
if (process.argv.includes("--mutants")) {
  const { count, survived } = await survivors();
  for (const one of survived) complain(`not noticed: ${one}`);
  mutants = `, ${count - survived.length} of ${count} wrong versions noticed`;
}

for (const one of complaints) console.error(one);
const panels = boards.reduce((sum, [, { panels }]) => sum + panels.length, 0);
console.log(`${DASHBOARDS.length} dashboards with ${panels} panels, ${ALERTS.length} alerts, ${tests.length} files of tests, ${RECORDS.flatMap((group) => group.rules).length} recorded series${mutants}: ${complaints.length} complaints`);
process.exitCode = complaints.length === 0 ? 0 : 1;
