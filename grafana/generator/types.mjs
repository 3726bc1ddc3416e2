// Holds every dashboard against Grafana's own types, those of @grafana/grafana-foundation-sdk: a field of a wrong type or
// value, one that is missing, and one that Grafana does not know, are errors. Needs the development dependencies.
import { execFileSync } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { DASHBOARDS } from "./dashboards.mjs";
import { dashboard } from "./panels.mjs";

const here = fileURLToPath(new URL(".", import.meta.url));
/** The SDK's module of each kind of panel, and whether it has a part of its own in a field's configuration. */
const KINDS = { timeseries: ["timeseries", true], stat: ["stat", false], gauge: ["gauge", false], bargauge: ["bargauge", false], heatmap: ["heatmap", false], "state-timeline": ["statetimeline", true], table: ["table", false] };
const SDK = "@grafana/grafana-foundation-sdk";

/** The program for the compiler: every part of every dashboard as a value of its type. */
export function program(boards) {
  const lines = [`import type { Dashboard } from "${SDK}/dashboard";`, `import type { dataquery } from "${SDK}/prometheus";`];
  for (const [module, own] of Object.values(KINDS)) {
    lines.push(`import type { Options as ${module} } from "${SDK}/${module}";`);
    if (own) lines.push(`import type { FieldConfig as ${module}Field } from "${SDK}/${module}";`);
  }
  // In JSON an enumeration is its values. Methods are no part of what is stored.
  lines.push("type Plain<T> = T extends string ? `${T}` : T extends number | boolean | null | undefined ? T : T extends readonly (infer U)[] ? Plain<U>[] : T extends object ? { [K in keyof T as K extends `_implements${string}` ? never : K]: Plain<T[K]> } : T;");
  for (const [index, board] of boards.entries()) {
    // What depends on the kind of panel has types of its own.
    const bare = board.panels.map(({ targets, options, fieldConfig, ...rest }) => ({ ...rest, fieldConfig: { ...fieldConfig, defaults: { ...fieldConfig.defaults, custom: undefined } } }));
    lines.push(`export const board${index}: Plain<Dashboard> = ${JSON.stringify({ ...board, panels: bare }, null, 1)};`);
    for (const { id, type, targets, options, fieldConfig } of board.panels) {
      const [module, own] = KINDS[type];
      lines.push(`export const options${index}_${id}: Plain<${module}> = ${JSON.stringify(options, null, 1)};`);
      if (own) lines.push(`export const field${index}_${id}: Plain<${module}Field> = ${JSON.stringify(fieldConfig.defaults.custom, null, 1)};`);
      for (const query of targets) lines.push(`export const query${index}_${id}_${query.refId}: Plain<dataquery> = ${JSON.stringify(query, null, 1)};`);
    }
  }
  return lines.join("\n");
}

/** What the compiler says of these dashboards; nothing when all is well. */
export function complaints(boards) {
  const file = `${here}types.check.ts`;
  writeFileSync(file, program(boards));
  try {
    execFileSync("node", [`${here}node_modules/typescript/bin/tsc`, "--noEmit", "--strict", "--skipLibCheck", "--target", "es2022", "--module", "nodenext", "--moduleResolution", "nodenext", file], { encoding: "utf8" });
    return "";
  } catch (error) {
    return error.stdout;
  } finally {
    if (process.env.KEEP === undefined) rmSync(file);
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const boards = DASHBOARDS.map(dashboard);
  let said = complaints(boards);
  // And it can fail: a unit that is a number, a kind of sorting that there is not, a field that nobody knows.
  const wrong = [(board) => (board.panels[0].fieldConfig.defaults.unit = 7), (board) => (board.refresh = 5), (board) => (board.panels[0].colour = "red"), (board) => (board.panels[0].targets[0].expression = "up")];
  for (const spoil of wrong) {
    const board = dashboard(DASHBOARDS[0]);
    spoil(board);
    if (complaints([board]) === "") said += `not noticed: ${spoil}\n`;
  }
  process.stderr.write(said);
  console.log(`${boards.length} dashboards against Grafana's types: ${said === "" ? "well" : "not well"}`);
  process.exitCode = said === "" ? 0 : 1;
}
