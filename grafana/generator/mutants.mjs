// Each alert with one thing wrong, to see that its tests notice.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ALERTS, condition, rule, tests } from "./alerts.mjs";
import { each, promtool } from "./promtool.mjs";
import { RECORDS } from "./rules.mjs";
import { yaml } from "./write.mjs";

const OPPOSITE = { ">": "<=", "<": ">=", "==": "!=" };

/** The wrong versions of one alert, by what is wrong. */
export function mutants(alert) {
  const wrong = [["the comparison is turned round", { op: OPPOSITE[alert.op] }]];
  if (alert.op !== "==") {
    wrong.push(["the bound is doubled", { bound: alert.bound === 0 ? 1e9 : 2 * alert.bound }]);
    wrong.push(["the bound is halved", alert.bound === 0 ? { op: ">=" } : { bound: alert.bound / 2 }]);
  }
  if (alert.for !== undefined) {
    const [, number, unit] = /^(\d+)([smh])$/.exec(alert.for);
    wrong.push(["it waits twice as long", { for: `${2 * number}${unit}` }], ["it does not wait", { for: undefined }]);
  }
  if (alert.gate !== undefined) wrong.push(["its gate is open", { gate: undefined }]);
  if (Array.isArray(alert.lhs)) wrong.push(["only the long window counts", { lhs: alert.lhs[0] }], ["only the short window counts", { lhs: alert.lhs[1] }]);
  return wrong.map(([what, change]) => ({ what, alert: { ...alert, ...change } }));
}

/** Mutants that no test has noticed. */
export async function survivors(alerts = ALERTS) {
  const all = alerts.filter((alert) => !alert.always).flatMap((original) => mutants(original).map((mutant) => ({ original, ...mutant })));
  const work = mkdtempSync(join(tmpdir(), "stampede-mutants."));
  try {
    const verdicts = await each([...all.entries()], async ([number, { original, what, alert }]) => {
      const file = (name) => join(work, `${number}.${name}.yml`);
      const records = RECORDS.flatMap((group) => group.rules).filter((one) => condition(original).includes(one.record));
      writeFileSync(file("rules"), yaml({ groups: [{ name: "records", rules: records }, { name: "mutant", rules: [rule(alert)] }] }));
      for (const [part, content] of tests([original], [file("rules")], ["records", "mutant"]).entries()) {
        writeFileSync(file(`test${part}`), yaml(content));
        if (!(await promtool("test", "rules", file(`test${part}`))).ok) return undefined;
      }
      return `${original.name}${original.labels === undefined ? "" : ` (${Object.values(original.labels)})`}: ${what}`;
    });
    return { count: all.length, survived: verdicts.filter((verdict) => verdict !== undefined) };
  } finally {
    rmSync(work, { recursive: true });
  }
}
