/**
 * The options of a scenario: its executor and its thresholds. A threshold on a metric without samples passes, so each
 * has a floor beside it; `lint/` checks that.
 */
import type { Options, Scenario, Threshold } from 'k6/options';
import { isWarmed, usersNeeded } from './data.ts';
import { AT_END, lookEvery } from './invariants.ts';
import { BANDS, arrivalsPlanned, recoveredFrom, testId, type Plan } from './plan.ts';

/** On a busy machine latencies may be judged more mildly, so many times; truth never is. */
const SLO_FACTOR = Number(__ENV.SLO_FACTOR || 1);
/** Users have so long to open their connections, in seconds, and a second later buyers come. */
const WARM = 2;

/** Everything that k6 must know before a run. */
export function optionsOf(plan: Plan): Options {
  return {
    scenarios: isWarmed(plan)
      ? { warm: warmth(plan), [plan.name]: { ...executorOf(plan), startTime: span(WARM + 1) } }
      : { [plan.name]: executorOf(plan) },
    thresholds: thresholdsOf(plan),
    summaryTrendStats: ['p(50)', 'p(95)', 'p(99)', 'p(99.9)', 'max', 'count'],
    tags: { testid: testId(plan) },
    setupTimeout: '10m',
    teardownTimeout: '15m',
    // Set-up and teardown read and write many SKUs; the copies of one request go out together.
    batch: 40,
    batchPerHost: 40,
  };
}

/** A latency as the profile's machine is judged by, in milliseconds. */
export function bearable(ms: number): number {
  return ms * SLO_FACTOR;
}

/**
 * Each user sends one request before anybody buys: its connection is open then, as those of the native generator are.
 * k6 hands the users of a scenario that is over to the next one.
 */
function warmth(plan: Plan): Scenario {
  const users = { vus: usersNeeded(plan), iterations: 1 };
  return { executor: 'per-vu-iterations', ...users, exec: 'warm', maxDuration: span(WARM), gracefulStop: '0s' };
}

function executorOf(plan: Plan): Scenario {
  const { arrivals } = plan;
  const users = { preAllocatedVUs: usersNeeded(plan), timeUnit: '1s', gracefulStop: '60s' };
  switch (arrivals.kind) {
    case 'iterations':
      return { executor: 'shared-iterations', vus: 1, iterations: arrivals.count, maxDuration: '2m' };
    case 'constant': {
      // Whole numbers only: 0.5 arrivals in a second are 5 in ten.
      const [rate, timeUnit] = whole(arrivals.rate);
      return { executor: 'constant-arrival-rate', ...users, rate, timeUnit, duration: span(arrivals.seconds) };
    }
    case 'ramping': {
      const stages = arrivals.stages.map(({ seconds, rate }) => ({
        duration: span(seconds),
        target: Math.round(rate),
      }));
      return { executor: 'ramping-arrival-rate', ...users, startRate: Math.round(arrivals.startRate), stages };
    }
  }
}

function thresholdsOf(plan: Plan): Record<string, Threshold[]> {
  const { least } = arrivalsPlanned(plan.arrivals);
  const sells = plan.sold !== 'none';
  const rising = plan.name === 'breakpoint';
  // A rising scenario ends at its knee, wherever that is.
  const thresholds: Record<string, Threshold[]> = {
    iterations: ['count>0'],
    // Those of the users who open their connections are none.
    [`iterations{scenario:${plan.name}}`]: [rising ? 'count>0' : `count>=${least}`],
    dropped_iterations: ['count==0'],
    checks: ['rate==1'],
    http_reqs: ['count>0'],
    http_req_failed: ['rate==0'],
    errors: ['count==0'],
    unanswered: ['count==0'],
    ledger_difference: ['count==0'],
    orders_placed: [plan.sold === 'all' ? `count==${plan.stock.units}` : sells ? 'count>0' : 'count==0'],
    orders_in_ledger: [sells ? 'count>0' : 'count==0'],
    'refused{code:other}': ['count==0'],
    'refused{code:sold_out}': [refusalsExpected(plan)],
    invariant_violations: ['count==0'],
  };
  if (plan.arrivals.kind === 'iterations') delete thresholds.dropped_iterations;
  for (const invariant of plan.invariants) {
    if (invariant === 'evaluated') continue;
    thresholds[`invariant_violations{invariant:${invariant}}`] = ['count==0'];
    thresholds[`invariants_evaluated{invariant:${invariant}}`] = [evaluations(plan, invariant)];
  }
  const ends = plan.invariants.filter((invariant) => AT_END.includes(invariant)).length;
  if (plan.invariants.includes('evaluated')) thresholds['invariants_evaluated{when:end}'] = [`count==${ends}`];
  Object.assign(thresholds, latencies(plan));
  return thresholds;
}

/** How often an invariant must have been looked at. */
function evaluations(plan: Plan, invariant: string): string {
  if (invariant === 'conservation' && plan.name !== 'breakpoint') {
    const { least } = arrivalsPlanned(plan.arrivals);
    return `count>=${Math.ceil(least / lookEvery(plan.arrivals)) + 1}`;
  }
  return AT_END.includes(invariant as never) && invariant !== 'conservation' ? 'count==1' : 'count>0';
}

/**
 * Where more buyers come than there are units somebody must be refused, and where there is plenty nobody may be. How many
 * is for `undersell` to judge, SKU by SKU.
 */
function refusalsExpected(plan: Plan): string {
  const { least, most } = arrivalsPlanned(plan.arrivals);
  if (least > plan.stock.units || plan.stock.zipf > 0) return 'count>0';
  return plan.stock.units >= 2 * most ? 'count==0' : `count<${least}`;
}

function latencies(plan: Plan): Record<string, Threshold[]> {
  const found: Record<string, Threshold[]> = {};
  const { acceptedP99Ms, refusedP99Ms } = plan.slo;
  if (plan.sold !== 'none') found.accepted = ['count>0'];
  if (acceptedP99Ms !== null) {
    const limit = `p(99)<${bearable(acceptedP99Ms)}`;
    if (plan.name === 'breakpoint') {
      found.accepted_ms = [{ threshold: limit, abortOnFail: true, delayAbortEval: '10s' }];
      for (let band = 0; band < BANDS; band++) found[`accepted_ms{band:${band}}`] = [limit];
    } else {
      found.accepted_ms = [limit];
      if (plan.stock.zipf > 0) found['accepted_ms{heat:cold}'] = [limit];
    }
  }
  const { coldP99Times, recoveredWithinS } = plan.slo;
  if (coldP99Times !== null) {
    (found['accepted_ms{heat:cold}'] ??= []).push(`p(99)<${bearable(coldP99Times * plan.baselineP99Ms)}`);
  }
  if (recoveredFrom(plan) !== null && recoveredWithinS !== null) {
    found.recovered_ms = [`p(99)<${bearable(plan.baselineP99Ms)}`];
    found.recovered = ['count>0'];
  }
  if (refusedP99Ms !== null && refusalsExpected(plan) !== 'count==0') {
    found.refused_ms = [`p(99)<${bearable(refusedP99Ms)}`];
    found.refusals = ['count>0'];
  }
  return found;
}

function whole(rate: number): [number, string] {
  for (const seconds of [1, 10, 100]) {
    if (Math.abs(rate * seconds - Math.round(rate * seconds)) < 1e-9)
      return [Math.round(rate * seconds), `${seconds}s`];
  }
  return [Math.max(1, Math.round(rate)), '1s'];
}

function span(seconds: number): string {
  return `${Math.round(seconds * 1000)}ms`;
}
