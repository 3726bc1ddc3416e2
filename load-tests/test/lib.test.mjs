/** What the scripts compute without a server: plans, demand, summaries. */
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { compile } from '../host/compile.mjs';
import { arrivals } from '../host/executors.mjs';
import { seconds } from '../host/metrics.mjs';
import { load } from '../host/run.mjs';

const HERE = path.dirname(new URL(import.meta.url).pathname);
const ENTRY = path.join(HERE, 'fixtures/lib.ts');
const COMPILED = compile(ENTRY);

const loaded = new Map();

function libAt(profile) {
  if (!loaded.has(profile)) loaded.set(profile, load(ENTRY, { PROFILE: profile }, COMPILED).first.exports);
  return loaded.get(profile);
}

const lib = libAt('laptop');
const file = JSON.parse(lib.scenarios);

test('every scenario can be read at every profile', () => {
  for (const profile of Object.keys(file.profiles)) {
    for (const name of Object.keys(file.scenarios)) {
      const plan = libAt(profile).readPlan(name, lib.scenarios);
      assert.equal(plan.name, name);
      const units = Array.from({ length: plan.stock.skus }, (_, sku) => lib.unitsOf(plan, sku));
      assert.equal(
        units.reduce((sum, count) => sum + count, 0),
        plan.stock.units,
      );
    }
  }
});

test('rates and durations are scaled, and no stage is shorter than a second', () => {
  const plan = libAt('ci').readPlan('flash-spike', lib.scenarios);
  assert.deepEqual(
    plan.arrivals.stages.map(({ seconds, rate }) => [seconds, Math.round(rate)]),
    [
      [1, 100],
      [6, 100],
      [1, 10],
      [3, 10],
    ],
  );
});

test('what is not understood is refused by name', () => {
  const refuse = (change, message) => {
    const wrong = structuredClone(file);
    change(wrong);
    assert.throws(() => lib.readPlan('smoke', JSON.stringify(wrong)), message);
  };
  refuse((wrong) => (wrong.version = 2), /version 2/);
  refuse((wrong) => (wrong.scenarios.smoke.colour = 'red'), /smoke: the field colour is not known/);
  refuse((wrong) => delete wrong.scenarios.smoke.stock, /the field stock is missing/);
  refuse((wrong) => (wrong.scenarios.smoke.stock.skus = 0), /skus: expected a whole number from 1/);
  refuse((wrong) => (wrong.scenarios.smoke.stock.units = 1.5), /units: expected a whole number/);
  refuse((wrong) => (wrong.scenarios.smoke.arrivals = { kind: 'burst' }), /kind burst/);
  refuse((wrong) => (wrong.scenarios.smoke.arrivals.rate = 5), /the field rate is not known/);
  refuse((wrong) => (wrong.scenarios.smoke.expect.sold = 'most'), /most is none of all, none, any/);
  refuse((wrong) => wrong.scenarios.smoke.invariants.push('fairness'), /fairness is none of/);
  assert.throws(
    () => libAt('huge').readPlan('smoke', lib.scenarios),
    /no profile "huge"; there are: ci, laptop, bench/,
  );
  assert.throws(() => lib.readPlan('rush', lib.scenarios), /no scenario "rush"/);
});

test('the planned number of arrivals is what the host sends', () => {
  for (const name of ['baseline', 'flash-spike', 'breakpoint']) {
    const plan = libAt('ci').readPlan(name, lib.scenarios);
    const { least, most } = lib.arrivalsPlanned(plan.arrivals);
    const scenario =
      plan.arrivals.kind === 'constant'
        ? { executor: 'constant-arrival-rate', rate: plan.arrivals.rate, duration: `${plan.arrivals.seconds}s` }
        : {
            executor: 'ramping-arrival-rate',
            startRate: plan.arrivals.startRate,
            stages: plan.arrivals.stages.map(({ seconds, rate }) => ({ duration: `${seconds}s`, target: rate })),
          };
    const times = [...arrivals(scenario)];
    assert.ok(least <= times.length && times.length <= most, `${name}: ${least} <= ${times.length} <= ${most}`);
    assert.ok(
      times.every((time, index) => index === 0 || time >= times[index - 1]),
      name,
    );
  }
});

test('the rate of an arrival follows the ramp', () => {
  const arrivals = {
    kind: 'ramping',
    startRate: 0,
    stages: [
      { seconds: 10, rate: 100 },
      { seconds: 10, rate: 100 },
    ],
  };
  assert.equal(lib.rateAt(arrivals, 0), 0);
  // After 5 s 125 have come, at 50 per second.
  assert.ok(Math.abs(lib.rateAt(arrivals, 125) - 50) < 1e-9);
  assert.equal(lib.rateAt(arrivals, 1000), 100);
  assert.equal(lib.rateAt(arrivals, 1e6), 100);
});

test('recovery begins so long after the rate has fallen, by the number of the arrival', () => {
  // 255 rise, 30,000 hold, 275 fall, 500 come in the ten seconds that the server has.
  assert.equal(lib.recoveredFrom(lib.readPlan('flash-spike', lib.scenarios)), 255 + 30_000 + 275 + 500);
  // A fifth of the rate; the ten seconds are one.
  assert.equal(libAt('ci').recoveredFrom(libAt('ci').readPlan('flash-spike', lib.scenarios)), 51 + 600 + 55 + 10);
  assert.equal(lib.recoveredFrom(lib.readPlan('baseline', lib.scenarios)), null);
  const late = structuredClone(file);
  late.scenarios['flash-spike'].slo.recovered_within_s = 31;
  assert.throws(() => lib.recoveredFrom(lib.readPlan('flash-spike', JSON.stringify(late))), /over so long after it/);
});

test('what is compared with the baseline is judged by its limit, or by what was measured', () => {
  const rules = (profile, env, name) => {
    const { exports } = load(ENTRY, { PROFILE: profile, ...env }, COMPILED).first;
    const { thresholds } = exports.optionsOf(exports.readPlan(name, lib.scenarios));
    return [thresholds.recovered_ms, thresholds.recovered, thresholds['accepted_ms{heat:cold}']];
  };
  assert.deepEqual(rules('laptop', {}, 'flash-spike'), [['p(99)<50'], ['count>0'], undefined]);
  assert.deepEqual(rules('laptop', {}, 'hot-sku'), [undefined, undefined, ['p(99)<100', 'p(99)<75']]);
  const measured = { BASELINE_P99_MS: '4', SLO_FACTOR: '2' };
  assert.deepEqual(rules('laptop', measured, 'flash-spike')[0], ['p(99)<8']);
  assert.deepEqual(rules('laptop', measured, 'hot-sku')[2], ['p(99)<200', 'p(99)<12']);
  assert.throws(() => rules('laptop', { BASELINE_P99_MS: 'fast' }, 'hot-sku'), /BASELINE_P99_MS: fast/);
});

test('connections are opened before the first arrival, by all users, and by nobody where nobody waits', () => {
  const plan = lib.readPlan('flash-spike', lib.scenarios);
  const { warm, 'flash-spike': spike } = lib.optionsOf(plan).scenarios;
  assert.equal(warm.vus, spike.preAllocatedVUs);
  assert.equal(warm.vus, lib.usersNeeded(plan));
  assert.ok(seconds(warm.maxDuration) + seconds(warm.gracefulStop) < seconds(spike.startTime));
  assert.deepEqual(Object.keys(lib.optionsOf(lib.readPlan('smoke', lib.scenarios)).scenarios), ['smoke']);
});

test('demand is what the arrivals want: even without an exponent, hot with one', () => {
  const even = lib.readPlan('flash-spike', lib.scenarios);
  const wanted = lib.demand(even, lib.sums.even, 20_000);
  assert.equal(
    wanted.reduce((sum, count) => sum + count, 0),
    20_000,
  );
  assert.ok(Math.min(...wanted) > 800 && Math.max(...wanted) < 1200, wanted.join(' '));

  const hot = lib.readPlan('hot-sku', lib.scenarios);
  const skewed = lib.demand(hot, lib.sums.hot, 20_000);
  const expected = 20_000 / Array.from({ length: 10_000 }, (_, rank) => (rank + 1) ** -1.2).reduce((a, b) => a + b);
  assert.ok(Math.abs(skewed[0] - expected) < 300, `${skewed[0]} of ${expected}`);
  assert.ok(skewed[0] > 1.9 * skewed[1]);
});

test('the names of holds are what the server takes', () => {
  for (let times = 0; times < 1000; times++) assert.match(lib.holdName(), /^hld_[0-7][0-9a-hjkmnp-tv-z]{25}$/);
});

test('both shapes of a summary are read', () => {
  const old = {
    metrics: { errors: { type: 'counter', values: { count: 2 }, thresholds: { 'count==0': { ok: false } } } },
  };
  const list = {
    results: { metrics: [{ name: 'errors', values: { count: 2 }, thresholds: [{ source: 'count==0', ok: false }] }] },
  };
  const apart = {
    results: {
      metrics: [{ name: 'errors', values: { count: 2 } }],
      thresholds: [{ metric: 'errors', source: 'count==0', ok: false }],
    },
  };
  const read = { errors: { values: { count: 2 }, thresholds: { 'count==0': false } } };
  for (const shape of [old, list, apart]) assert.deepEqual(lib.readMetrics(shape), read);
});

test('the verdict: lies before drops, drops before slowness, and nothing seen is never a pass', () => {
  const plan = lib.readPlan('flash-spike', lib.scenarios);
  const metric = (count, rule, ok) => ({ values: { count, 'p(99)': count }, thresholds: { [rule]: { ok } } });
  const good = {
    iterations: metric(100, 'count>=1', true),
    dropped_iterations: metric(0, 'count==0', true),
    accepted_ms: metric(5, 'p(99)<100', true),
    'invariant_violations{invariant:oversell}': metric(0, 'count==0', true),
  };
  const verdict = (changes, host) => lib.summarise(plan, { metrics: { ...good, ...changes }, host }).verdict;
  const slow = { accepted_ms: metric(500, 'p(99)<100', false) };
  const dropped = { dropped_iterations: metric(3, 'count==0', false) };
  const lie = { 'invariant_violations{invariant:oversell}': metric(1, 'count==0', false) };
  assert.equal(verdict({}), 'PASS');
  assert.equal(verdict(slow), 'FAIL');
  assert.equal(verdict(dropped), 'VOID');
  assert.equal(verdict({ ...slow, ...dropped }), 'VOID');
  assert.equal(verdict({ ...lie, ...dropped }), 'FAIL');
  assert.equal(verdict({ iterations: metric(0, 'count>=1', false) }), 'VOID');
  assert.equal(verdict({}, { generator_cpu_percent: 95 }), 'VOID');
  assert.equal(lib.summarise(plan, {}).verdict, 'FAIL');
});

test('a rising scenario passes when it was true beyond its knee, and names it', () => {
  const plan = lib.readPlan('breakpoint', lib.scenarios);
  const band = (p99) => ({ values: { count: 9, 'p(99)': p99 }, thresholds: { 'p(99)<500': { ok: p99 < 500 } } });
  const metrics = {
    iterations: { values: { count: 900 }, thresholds: { 'count>0': { ok: true } } },
    dropped_iterations: { values: { count: 7 }, thresholds: { 'count==0': { ok: false } } },
    'accepted_ms{band:0}': band(5),
    'accepted_ms{band:1}': band(20),
    'accepted_ms{band:2}': band(700),
  };
  const { verdict, knee } = lib.summarise(plan, { metrics });
  assert.equal(verdict, 'PASS');
  assert.equal(knee, 500);
});
