// All alerts, and how they become rules and tests of rules for promtool.
import correctness from "./alerts/correctness.mjs";
import engine from "./alerts/engine.mjs";
import fleet from "./alerts/fleet.mjs";
import neighbours from "./alerts/neighbours.mjs";
import slo from "./alerts/slo.mjs";
import workflows from "./alerts/workflows.mjs";

/** Groups in the order in which Prometheus loads them. */
export const GROUPS = { correctness, slo, fleet, engine, workflows, neighbours };
export const ALERTS = Object.values(GROUPS).flat();

/** The folder of the runbooks, as it is named in annotations. */
export const RUNBOOKS = "docs/runbooks";

/** The condition. Several left-hand sides are several windows, which must all be over the bound. */
export function condition({ lhs, op, bound, gate }) {
  const over = [lhs].flat().map((side) => `${side} ${op} ${bound}`).join(" and ");
  return gate === undefined ? over : `(${over}) ${gate}`;
}

/** One alert as a rule. */
export function rule(alert) {
  return {
    alert: alert.name,
    expr: condition(alert),
    ...(alert.for === undefined ? {} : { for: alert.for }),
    labels: labelsOf(alert),
    annotations: {
      summary: alert.summary,
      description: alert.description,
      runbook_url: `${RUNBOOKS}/${alert.name}.md`,
      dashboard_url: `/d/stampede-${alert.dashboard}`,
    },
  };
}

const labelsOf = (alert) => ({ severity: alert.severity, ...(alert.slo === undefined ? {} : { slo: alert.slo }), ...alert.labels });

/** `metric{a="b"}` as a series of the job. */
function series(name) {
  const [, metric, labels] = /^(\w+)(?:\{(.*)\})?$/.exec(name);
  return `${metric}{job="stampede"${labels ? `,${labels}` : ""}}`;
}

const matchers = (labels) => Object.entries(labels).map(([label, value]) => `${label}="${value}"`).join(",");

/** The tests of some alerts, each with one case in which it fires and others in which it does not; by how often samples come. */
export function tests(alerts, ruleFiles, groups) {
  const cases = alerts.flatMap((alert) => {
    const name = alert.name;
    const own = { alertname: name, alertstate: "firing", ...alert.labels };
    const firing = `ALERTS{${matchers(own)}}`;
    const group = ({ title, every, series: inputs }, asked) => ({
      name: `${name}${alert.labels === undefined ? "" : ` (${Object.values(alert.labels).join(", ")})`}: ${title}`,
      interval: every,
      input_series: Object.entries(inputs).map(([input, values]) => ({ series: series(input), values })),
      promql_expr_test: asked,
    });
    const nothing = (at) => ({ expr: firing, eval_time: at, exp_samples: [] });
    const all = { alertname: name, alertstate: "firing", ...labelsOf(alert), ...alert.fires.labels };
    const sample = { expr: firing, eval_time: alert.fires.at, exp_samples: [{ labels: `ALERTS{${matchers(all)}}`, value: 1 }] };
    const quiet = alert.fires.quiet === undefined ? [] : [nothing(alert.fires.quiet)];
    return [group(alert.fires, [...quiet, sample]), ...(alert.silent ?? []).map((one) => group(one, [nothing(one.at)]))];
  });
  // As often as samples come, so that the long windows are soon gone through.
  const everies = new Set(cases.map((one) => one.interval));
  return [...everies].map((every) => ({
    rule_files: ruleFiles,
    // What is recorded first; otherwise promtool takes them in any order.
    group_eval_order: groups,
    evaluation_interval: every,
    tests: cases.filter((one) => one.interval === every),
  }));
}
