/**
 * What a run leaves behind: `summary.json` (as `stampede load` writes it), `junit.xml` with a case for each threshold,
 * `report.md`, and a line for whoever watches. k6 cannot fail a run from here: thresholds do that.
 */
import { BANDS, INVARIANTS, peakRate, testId, type Plan } from './plan.ts';

/** One metric as k6 hands it to `handleSummary`. */
interface Metric {
  values: Record<string, number>;
  thresholds: Record<string, boolean>;
}

type Metrics = Record<string, Metric>;

export interface Latency {
  p50: number;
  p99: number;
  p999: number;
  max: number;
}

export interface Summary {
  scenario: string;
  profile: string;
  verdict: 'PASS' | 'FAIL' | 'VOID';
  arrivals: number;
  dropped_arrivals: number;
  accepted: number;
  refused: Record<string, number>;
  errors: number;
  accepted_ms: Latency;
  refused_ms: Latency;
  invariants: Record<string, { evaluated: number; violated: number }>;
  thresholds: Record<string, boolean>;
  reasons: string[];
  /** Breakpoint only: the last rate, in arrivals per second, that was served within the limit. */
  knee?: number | null;
}

/** A band counts as served while its p99 is below this, in milliseconds. */
const KNEE_MS = 100;
/** Above this share of one core the generator measures itself. Known only where the host tells. */
const SATURATED = 80;
/**
 * Thresholds that show a lie, however many arrivals there were. The others miss something, or were too slow, and that
 * says nothing about the server when the generator was the bottleneck.
 */
const LIES =
  /^(invariant_violations|checks|errors|unanswered|ledger_difference|http_req_failed|refused\{code:other\})[:{]/;

/** The files of a run, by name. */
export function report(plan: Plan, data: unknown): Record<string, string> {
  const summary = summarise(plan, data);
  const directory = __ENV.OUT_DIR ? `${__ENV.OUT_DIR.replace(/\/+$/, '')}/` : '';
  return {
    [`${directory}summary.json`]: `${JSON.stringify(summary, null, 2)}\n`,
    [`${directory}junit.xml`]: junit(summary),
    [`${directory}report.md`]: markdown(plan, summary) + dashboard(plan, data),
    stdout: `${summary.reasons.map((reason) => `  ${reason}\n`).join('')}${verdictLine(summary)}\n`,
  };
}

/** Puts the metrics into the words of both generators. */
export function summarise(plan: Plan, data: unknown): Summary {
  const metrics = readMetrics(data);
  const value = (metric: string, name: string) => metrics[metric]?.values[name] ?? 0;
  const thresholds: Record<string, boolean> = {};
  for (const [name, metric] of Object.entries(metrics)) {
    for (const [rule, good] of Object.entries(metric.thresholds)) thresholds[`${name}: ${rule}`] = good;
  }
  const refused: Record<string, number> = {};
  for (const code of ['sold_out', 'other']) {
    const times = value(`refused{code:${code}}`, 'count');
    if (times > 0) refused[code] = times;
  }
  const invariants: Summary['invariants'] = {};
  for (const invariant of plan.invariants) {
    invariants[invariant] = {
      evaluated: value(`invariants_evaluated{invariant:${invariant}}`, 'count'),
      violated: value(`invariant_violations{invariant:${invariant}}`, 'count'),
    };
  }
  if (invariants.lost_order !== undefined && value('ledger_difference', 'count') !== 0) {
    const missing = Math.abs(value('orders_placed', 'count') - value('orders_in_ledger', 'count'));
    invariants.lost_order.violated += Math.max(1, missing);
  }
  if (invariants.evaluated !== undefined) {
    const floors = Object.entries(thresholds).filter(([name]) => name.startsWith('invariants_evaluated'));
    invariants.evaluated = { evaluated: floors.length, violated: floors.filter(([, good]) => !good).length };
  }
  const summary: Summary = {
    scenario: plan.name,
    profile: plan.profile,
    verdict: 'PASS',
    arrivals: metrics[`iterations{scenario:${plan.name}}`]?.values.count ?? value('iterations', 'count'),
    dropped_arrivals: value('dropped_iterations', 'count'),
    accepted: value('orders_placed', 'count'),
    refused,
    errors: value('errors', 'count'),
    accepted_ms: latency(metrics.accepted_ms),
    refused_ms: latency(metrics.refused_ms),
    invariants,
    thresholds,
    reasons: [],
  };
  if (plan.name === 'breakpoint') summary.knee = knee(plan, metrics);
  judge(summary, generatorCpu(data));
  return summary;
}

/** FAIL when something untrue was seen; VOID when the generator was the bottleneck; FAIL when anything else is amiss. */
function judge(summary: Summary, cpu: number): void {
  const broken = Object.keys(summary.thresholds).filter((name) => !summary.thresholds[name]);
  const lies = broken.filter((name) => LIES.test(name));
  for (const [name, { violated }] of Object.entries(summary.invariants)) {
    if (violated === 0) continue;
    summary.reasons.push(`${name} was broken ${violated} times`);
    if (name !== 'evaluated') lies.push(name);
  }
  for (const name of broken) summary.reasons.push(`threshold not met: ${name}`);

  const voids: string[] = [];
  if (summary.dropped_arrivals > 0) voids.push(`${summary.dropped_arrivals} arrivals were dropped`);
  if (summary.arrivals === 0) voids.push('nobody came');
  if (cpu > SATURATED) voids.push(`the generator used ${cpu} % of a core`);
  summary.reasons.push(...voids);

  // A rising scenario ends when it is too slow, or when the generator no longer keeps up: that is what it looks for.
  const rising = summary.knee !== undefined;
  const misses = broken.filter((name) => !(rising && /^(accepted_ms|dropped_iterations)/.test(name)));
  if (lies.length > 0 || Object.keys(summary.thresholds).length === 0) summary.verdict = 'FAIL';
  else if (voids.length > 0 && !(rising && summary.arrivals > 0)) summary.verdict = 'VOID';
  else if (misses.length > 0) summary.verdict = 'FAIL';
}

/** k6 has two shapes: an object of metrics, and (`--new-machine-readable-summary`) a list under `results`. */
export function readMetrics(data: unknown): Metrics {
  const found: Metrics = {};
  const { metrics, results } = data as { metrics?: Record<string, unknown>; results?: Record<string, unknown> };
  for (const [name, metric] of Object.entries(metrics ?? {})) found[name] = readMetric(metric);
  for (const metric of (results?.metrics ?? []) as { name?: string }[]) {
    if (typeof metric.name === 'string') found[metric.name] = readMetric(metric);
  }
  // There, thresholds may stand apart from their metrics.
  for (const rule of (results?.thresholds ?? []) as { metric?: string; source?: string; ok?: boolean }[]) {
    if (typeof rule.metric !== 'string' || typeof rule.source !== 'string') continue;
    const metric = found[rule.metric] ?? { values: {}, thresholds: {} };
    metric.thresholds[rule.source] = rule.ok === true;
    found[rule.metric] = metric;
  }
  return found;
}

function readMetric(from: unknown): Metric {
  const { values, thresholds } = from as { values?: Record<string, number>; thresholds?: unknown };
  const rules: Record<string, boolean> = {};
  if (Array.isArray(thresholds)) {
    for (const rule of thresholds as { source?: string; ok?: boolean }[]) {
      if (typeof rule.source === 'string') rules[rule.source] = rule.ok === true;
    }
  } else {
    for (const [source, rule] of Object.entries((thresholds ?? {}) as Record<string, { ok?: boolean }>)) {
      rules[source] = rule.ok === true;
    }
  }
  return { values: values ?? {}, thresholds: rules };
}

/** CPU of the generator in hundredths of one core; 0 where nobody tells. */
function generatorCpu(data: unknown): number {
  const cpu = (data as { host?: { generator_cpu_percent?: unknown } }).host?.generator_cpu_percent;
  return typeof cpu === 'number' ? cpu : 0;
}

function latency(metric: Metric | undefined): Latency {
  const value = (name: string) => Math.round((metric?.values[name] ?? 0) * 1000) / 1000;
  return { p50: value('p(50)'), p99: value('p(99)'), p999: value('p(99.9)'), max: value('max') };
}

/** The upper end of the last band that was served in time; nothing when not even the first was. */
function knee(plan: Plan, metrics: Metrics): number | null {
  let served: number | null = null;
  for (let band = 0; band < BANDS; band++) {
    const { values } = metrics[`accepted_ms{band:${band}}`] ?? { values: {} as Record<string, number> };
    // Bands below the rate at which the scenario begins have no samples.
    if ((values.count ?? 0) === 0) continue;
    if ((values['p(99)'] ?? Infinity) >= KNEE_MS) break;
    served = ((band + 1) / BANDS) * peakRate(plan.arrivals);
  }
  return served;
}

function junit(summary: Summary): string {
  const cases = Object.entries(summary.thresholds).map(([name, good]) => {
    const open = `    <testcase classname="${escape(summary.scenario)}" name="${escape(name)}"`;
    return good ? `${open}/>` : `${open}><failure message="threshold not met: ${escape(name)}"/></testcase>`;
  });
  const verdict = `    <testcase classname="${escape(summary.scenario)}" name="verdict"`;
  const reasons = escape(summary.reasons.join('; '));
  const kind = summary.verdict === 'VOID' ? 'error' : 'failure';
  const passed = summary.verdict === 'PASS';
  cases.push(passed ? `${verdict}/>` : `${verdict}><${kind} message="${summary.verdict}: ${reasons}"/></testcase>`);
  const failures = cases.filter((text) => text.includes('<failure')).length;
  const voids = cases.filter((text) => text.includes('<error')).length;
  const name = `${escape(summary.scenario)} (${escape(summary.profile)})`;
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites tests="${cases.length}" failures="${failures}" errors="${voids}">`,
    `  <testsuite name="${name}" tests="${cases.length}" failures="${failures}" errors="${voids}">`,
    ...cases,
    '  </testsuite>',
    '</testsuites>',
    '',
  ].join('\n');
}

function markdown(plan: Plan, summary: Summary): string {
  const lines = [
    `# ${summary.scenario} (${summary.profile}): ${summary.verdict}`,
    '',
    plan.about,
    '',
    verdictLine(summary),
    '',
    ...summary.reasons.map((reason) => `- ${reason}`),
    ...(summary.reasons.length > 0 ? [''] : []),
    '| | p50 | p99 | p99.9 | max |',
    '|---|---|---|---|---|',
    row('accepted, ms', summary.accepted_ms),
    row('refused, ms', summary.refused_ms),
    '',
    '| Invariant | Evaluated | Violated |',
    '|---|---|---|',
    ...INVARIANTS.filter((name) => name in summary.invariants).map((name) => {
      const found = summary.invariants[name];
      return `| ${name} | ${found?.evaluated} | ${found?.violated} |`;
    }),
    '',
  ];
  if (summary.knee !== undefined) lines.push(`Served within ${KNEE_MS} ms up to ${summary.knee ?? 0} arrivals/s.`, '');
  return lines.join('\n');
}

/** Where the run can be seen, with its tag and time filled in; nothing without `DASHBOARD_URL`. */
function dashboard(plan: Plan, data: unknown): string {
  if (!__ENV.DASHBOARD_URL) return '';
  const { state } = data as { state?: { testRunDurationMs?: number } };
  const to = Date.now();
  const from = Math.floor(to - (state?.testRunDurationMs ?? 0));
  return `[Dashboard](${__ENV.DASHBOARD_URL}?var-testid=${encodeURIComponent(testId(plan))}&from=${from}&to=${to})\n`;
}

function row(name: string, found: Latency): string {
  return `| ${name} | ${found.p50} | ${found.p99} | ${found.p999} | ${found.max} |`;
}

function verdictLine(summary: Summary): string {
  const refused = Object.entries(summary.refused).map(([code, times]) => `${times} ${code}`);
  const parts = [
    `${summary.scenario} (${summary.profile}):`,
    `${summary.arrivals} arrivals, ${summary.dropped_arrivals} dropped,`,
    `${summary.accepted} orders, refused ${refused.length > 0 ? refused.join(' ') : 0}, errors ${summary.errors},`,
    `p99 accepted ${summary.accepted_ms.p99} ms, refused ${summary.refused_ms.p99} ms`,
    summary.verdict,
  ];
  return parts.join('  ');
}

function escape(text: string): string {
  const names: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
  return text.replace(/[&<>"]/g, (character) => names[character] ?? character);
}
