/** Traps of k6 that can be seen in the options of a script that was loaded. */
import { BUILT_IN, parseRule, parseSelector, seconds } from '../host/metrics.mjs';
import { COMMON, EXECUTORS } from '../host/executors.mjs';

/** Executors that wait for an answer before they send the next request: the slower the server, the fewer they send. */
const CLOSED = ['constant-vus', 'ramping-vus', 'per-vu-iterations', 'shared-iterations', 'externally-controlled'];
/** The one scenario that looks at each answer before it goes on, and the one that opens connections before the load. */
const MAY_BE_CLOSED = ['smoke', 'warm'];
/** Options that make k6 build a scenario of its own beside, or instead of, those that are named. */
const SHORTCUTS = ['vus', 'iterations', 'duration', 'stages'];
/** Refusals that are business as usual. */
const REFUSALS = [409, 429, 503];

/**
 * Which threshold is the floor of another: it fails when the other one had nothing to be judged on.
 * `$` stands for the tags of the threshold. Metrics that are not here need a floor of their own.
 */
const FLOORS = {
  dropped_iterations: 'iterations',
  iteration_duration: 'iterations',
  checks: 'iterations',
  http_req_failed: 'http_reqs',
  http_req_duration: 'http_reqs',
  accepted_ms: 'accepted',
  refused_ms: 'refusals',
  recovered_ms: 'recovered',
  refused: 'iterations',
  errors: 'iterations',
  unanswered: 'iterations',
  orders_placed: 'iterations',
  orders_in_ledger: 'invariants_evaluated{invariant:lost_order}',
  ledger_difference: 'invariants_evaluated{invariant:lost_order}',
  invariant_violations: 'invariants_evaluated$',
};
/** The floor of `invariant_violations` without a tag. */
const ALL_EVALUATED = 'invariants_evaluated{when:end}';

/**
 * Findings in the options.
 *
 * @param host that loaded the script
 * @param first its first virtual user
 * @param words every property name and text in its sources
 * @param invariants that its scenario must assert; nothing: it is not in scenarios.json
 */
export function lintOptions(host, first, words, invariants) {
  const findings = [];
  const say = (rule, what) => findings.push({ rule, file: host.entry, what });
  const { options } = host;
  const thresholds = options.thresholds ?? {};
  for (const name of SHORTCUTS) if (name in options) say('stray-field', `${name} beside scenarios`);
  for (const [name, scenario] of Object.entries(options.scenarios ?? {})) lintScenario(name, scenario, thresholds, say);
  if (Object.keys(options.scenarios ?? {}).length === 0)
    say('closed-model', 'no scenario: k6 would loop virtual users');
  lintThresholds(host, thresholds, words, say);
  if (!(thresholds.checks ?? []).includes('rate==1')) say('checks-missing', "checks: ['rate==1'] is missing");
  lintCallback(first, say);
  for (const name of ['teardown', 'handleSummary']) {
    if (typeof first.exports[name] !== 'function') say('audit-missing', `there is no ${name}`);
  }
  for (const invariant of invariants ?? []) {
    if (invariant === 'evaluated') continue;
    const line = thresholds[`invariant_violations{invariant:${invariant}}`];
    if (!line?.includes('count==0')) say('invariant-missing', `${invariant} has no threshold of its own`);
  }
  const evaluated = thresholds[ALL_EVALUATED] ?? [];
  if (invariants !== undefined && !evaluated.some((rule) => /^count==[1-9]/.test(rule))) {
    say('invariant-missing', `${ALL_EVALUATED} must be count==N`);
  }
  return findings;
}

function lintScenario(name, scenario, thresholds, say) {
  const { executor } = scenario;
  if (CLOSED.includes(executor) && !MAY_BE_CLOSED.includes(name)) {
    say('closed-model', `${name}: ${executor} slows down with the server: use an arrival rate`);
  }
  for (const field of Object.keys(scenario)) {
    const known = EXECUTORS[executor];
    if (known !== undefined && !known.includes(field) && !COMMON.includes(field)) {
      say('stray-field', `${name}: ${executor} takes no ${field}`);
    }
  }
  if (scenario.maxVUs !== undefined) say('max-vus', `${name}: users allocated during a run distort it: preallocate`);
  if (!String(executor).endsWith('arrival-rate')) return;
  if (!(thresholds.dropped_iterations ?? []).includes('count==0')) {
    say('dropped-iterations-missing', `${name}: dropped_iterations: ['count==0'] is missing`);
  }
  const peak = Math.max(
    scenario.rate ?? 0,
    scenario.startRate ?? 0,
    ...(scenario.stages ?? []).map((stage) => stage.target),
  );
  const needed = ((peak / seconds(scenario.timeUnit ?? '1s')) * slowest(thresholds) * 1.5) / 1000;
  if (scenario.preAllocatedVUs < needed) {
    say(
      'too-few-users',
      `${name}: ${scenario.preAllocatedVUs} virtual users; rate × p99 × 1.5 is ${Math.ceil(needed)}`,
    );
  }
}

/** The largest p99 that is allowed, in milliseconds. */
function slowest(thresholds) {
  const limits = Object.values(thresholds)
    .flat()
    .map((rule) => {
      const text = typeof rule === 'string' ? rule : rule.threshold;
      return Number(/^p\(99\)<([\d.]+)$/.exec(text)?.[1] ?? 0);
    });
  return Math.max(0, ...limits);
}

function lintThresholds(host, thresholds, words, say) {
  for (const [selector, rules] of Object.entries(thresholds)) {
    const { name, tags } = parseSelector(selector);
    const type = typeOf(host, name);
    if (type === undefined) {
      say('unknown-metric', `${selector}: there is no metric ${name}, so this would never be judged`);
      continue;
    }
    for (const [key, value] of tags) {
      const known = words.has(key) && (words.has(value) || /^\d+$/.test(value));
      if (!known) say('unknown-tag', `${selector}: no sample has the tag ${key}:${value}`);
    }
    for (const rule of rules) lintRule(selector, rule, type, say);
    if (!rules.some(isFloor) && !hasFloor(selector, name, tags, thresholds)) {
      say('floor-missing', `${selector}: without a sample this passes; it needs a floor such as count>0`);
    }
  }
}

function lintRule(selector, rule, type, say) {
  let parsed;
  try {
    parsed = parseRule(rule, type);
  } catch (error) {
    return say('rule-unreadable', `${selector}: ${error.message}`);
  }
  const { source, operator, limit } = parsed;
  const most = type === 'rate' ? 1 : Infinity;
  const always =
    (operator === '>=' && limit <= 0) ||
    (operator === '>' && limit < 0) ||
    (operator === '<=' && limit >= most) ||
    (operator === '<' && limit > most) ||
    (operator === '!=' && limit < 0);
  if (always) say('vacuous-rule', `${selector}: "${source}" is always true`);
}

function hasFloor(selector, name, tags, thresholds) {
  if (name === 'invariant_violations' && tags.length === 0) return (thresholds[ALL_EVALUATED] ?? []).some(isFloor);
  const floor = FLOORS[name]?.replace('$', selector.slice(name.length));
  return floor !== undefined && (thresholds[floor] ?? []).some(isFloor);
}

/** Fails when there was no sample. */
function isFloor(rule) {
  const text = typeof rule === 'string' ? rule : rule.threshold;
  return /^count>\d+$/.test(text) || /^count(>=|==)[1-9]\d*$/.test(text);
}

function typeOf(host, name) {
  if (name in BUILT_IN) return BUILT_IN[name];
  try {
    return host.metrics.get(name).type;
  } catch {
    return undefined;
  }
}

function lintCallback(first, say) {
  const callback = first.responseCallback;
  const missing = REFUSALS.filter((status) => callback?.expects(status) !== true);
  if (missing.length > 0) say('response-callback-missing', `${missing.join(', ')} would count as failed requests`);
  if (callback?.expects(500) === true) say('response-callback-missing', '500 would count as a good answer');
}
