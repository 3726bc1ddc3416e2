// Writes what is generated, or with --check says what of it is not as it would be written.
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { stringify } from "yaml";
import { ALERTS, GROUPS, condition, rule, tests } from "./alerts.mjs";
import { root } from "./catalogue.mjs";
import { DASHBOARDS } from "./dashboards.mjs";
import { dashboard } from "./panels.mjs";
import { RECORDS } from "./rules.mjs";

const RULES = "grafana/prometheus/rules";
const TESTS = "grafana/prometheus/tests";
const BOARDS = "grafana/dashboards";
const NOTE = "# Written by grafana/generator/write.mjs.\n";

export const yaml = (value) => NOTE + stringify(value, { lineWidth: 0, defaultStringType: "PLAIN", aliasDuplicateObjects: false });

const recordsFile = (group) => `${group.name.replace(/^stampede\./, "")}.yml`;

/** All files about rules: path and text. */
export function ruleFiles() {
  const files = new Map();
  for (const group of RECORDS) files.set(`${RULES}/${recordsFile(group)}`, yaml({ groups: [group] }));
  for (const [name, alerts] of Object.entries(GROUPS)) {
    files.set(`${RULES}/${name}.yml`, yaml({ groups: [{ name: `stampede.${name}`, interval: "5s", rules: alerts.map(rule) }] }));
  }
  for (const name of new Set(ALERTS.map((alert) => alert.name))) {
    const group = Object.keys(GROUPS).find((one) => GROUPS[one].some((alert) => alert.name === name));
    // Only what it reads, since every rule of a file is computed at every step.
    const alerts = ALERTS.filter((alert) => alert.name === name);
    const read = RECORDS.filter(({ rules }) => rules.some(({ record }) => alerts.some((alert) => condition(alert).includes(record))));
    const parts = tests(alerts, [...read.map(recordsFile), `${group}.yml`].map((file) => `../rules/${file}`), [...read.map((one) => one.name), `stampede.${group}`]);
    parts.forEach((part, index) => files.set(`${TESTS}/${name}${index === 0 ? "" : `.${index + 1}`}.yml`, yaml(part)));
  }
  return files;
}

/** All dashboards: path and text. */
export function boardFiles() {
  return new Map(DASHBOARDS.map((spec) => [`${BOARDS}/${spec.uid}.json`, `${JSON.stringify(dashboard(spec), null, 2)}\n`]));
}

/** What is there and is not what would be written, in folders that hold nothing else. */
export function stale(files, folders) {
  const wrong = [...files].filter(([path, text]) => !existsSync(`${root}${path}`) || readFileSync(`${root}${path}`, "utf8") !== text).map(([path]) => path);
  const strays = folders.flatMap((folder) => (existsSync(root + folder) ? readdirSync(root + folder) : []).map((name) => `${folder}/${name}`).filter((path) => !files.has(path)));
  return [...wrong, ...strays.map((path) => `${path} (nobody writes it)`)];
}

function write(files, folders) {
  for (const path of stale(files, folders)) {
    const plain = path.replace(/ \(.*/, "");
    if (files.has(plain)) {
      mkdirSync(dirname(root + plain), { recursive: true });
      writeFileSync(root + plain, files.get(plain));
    } else rmSync(root + plain);
    console.log(path);
  }
}

export const FOLDERS = [RULES, TESTS, BOARDS];

/** Everything that is generated. */
export const generated = () => new Map([...ruleFiles(), ...boardFiles()]);

if (process.argv[1] === fileURLToPath(import.meta.url)) write(generated(), FOLDERS);
