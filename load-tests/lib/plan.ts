/**
 * What a scenario is: its part of `scenarios.json`, read strictly and scaled to the profile.
 * Pure: no request, no clock. The native generator (`stampede load`) reads the same file.
 */

/** The invariants, by the words of `scenarios.json`. */
export const INVARIANTS = [
  'oversell',
  'undersell',
  'conservation',
  'double_charge',
  'lost_order',
  'idempotent_replay',
  'polite_refusal',
  'evaluated',
] as const;

export type Invariant = (typeof INVARIANTS)[number];

/** Ways to buy. */
export type Way = 'express' | 'cart' | 'hold';

export interface Stage {
  /** Length, in seconds. */
  seconds: number;
  /** Arrivals per second at its end. */
  rate: number;
}

export type Arrivals =
  | { kind: 'iterations'; count: number }
  | { kind: 'constant'; rate: number; seconds: number }
  | { kind: 'ramping'; startRate: number; stages: Stage[] };

/** One scenario at one profile: rates and durations are scaled already. */
export interface Plan {
  name: string;
  profile: string;
  about: string;
  stock: { skus: number; units: number; zipf: number };
  arrivals: Arrivals;
  buyer: Record<Way, number>;
  repeat: { same: number; otherBody: number };
  drain: boolean;
  slo: {
    acceptedP99Ms: number | null;
    refusedP99Ms: number | null;
    /** p99 of all SKUs but the hottest, as a multiple of the baseline's. */
    coldP99Times: number | null;
    /** So long after a spike, in seconds, and from then on, p99 of all answers is no more than the baseline's. */
    recoveredWithinS: number | null;
  };
  /** p99 of accepted purchases on an ordinary day, in milliseconds: as measured, or else the limit of `baseline`. */
  baselineP99Ms: number;
  sold: 'all' | 'none' | 'any';
  invariants: Invariant[];
}

/** The shortest stage after scaling, in seconds. */
const SHORTEST = 1;

/**
 * Reads one scenario.
 *
 * @param name of the scenario
 * @param text of `scenarios.json`; the entry script opens it, because `open()` counts paths from there
 * @throws when the file says something that is not understood, or lacks something
 */
export function readPlan(name: string, text: string): Plan {
  const file = fields(JSON.parse(text), 'scenarios.json', ['version', 'profiles', 'scenarios']);
  if (file.version !== 1) throw new Error(`scenarios.json: version ${String(file.version)} is not known`);
  const profile = __ENV.PROFILE || 'laptop';
  const scale = fields(entry(file.profiles, profile, 'profile'), `profile ${profile}`, ['rate', 'time']);
  const at = `scenario ${name}`;
  const found = fields(entry(file.scenarios, name, 'scenario'), at, [
    'about',
    'stock',
    'arrivals',
    'buyer',
    'repeat',
    'drain',
    'slo',
    'expect',
    'invariants',
  ]);
  const stock = fields(found.stock, `${at}: stock`, ['skus', 'units', 'zipf']);
  const buyer = fields(found.buyer, `${at}: buyer`, ['express', 'cart', 'hold']);
  const repeat = fields(found.repeat, `${at}: repeat`, ['same', 'other_body']);
  const slo = fields(
    found.slo,
    `${at}: slo`,
    ['accepted_p99_ms', 'refused_p99_ms'],
    ['cold_p99_times', 'recovered_within_s'],
  );
  const expect = fields(found.expect, `${at}: expect`, ['sold']);
  return {
    name,
    profile,
    about: word(found.about, `${at}: about`),
    stock: {
      skus: count(stock.skus, `${at}: skus`, 1),
      units: count(stock.units, `${at}: units`, 0),
      zipf: number(stock.zipf, `${at}: zipf`),
    },
    arrivals: readArrivals(found.arrivals, at, number(scale.rate, 'rate'), number(scale.time, 'time')),
    buyer: {
      express: number(buyer.express, `${at}: express`),
      cart: number(buyer.cart, `${at}: cart`),
      hold: number(buyer.hold, `${at}: hold`),
    },
    repeat: {
      same: count(repeat.same, `${at}: same`, 1),
      otherBody: number(repeat.other_body, `${at}: other_body`),
    },
    drain: found.drain === true,
    slo: {
      acceptedP99Ms: slo.accepted_p99_ms === null ? null : number(slo.accepted_p99_ms, `${at}: accepted_p99_ms`),
      refusedP99Ms: slo.refused_p99_ms === null ? null : number(slo.refused_p99_ms, `${at}: refused_p99_ms`),
      coldP99Times: slo.cold_p99_times === undefined ? null : number(slo.cold_p99_times, `${at}: cold_p99_times`),
      recoveredWithinS:
        slo.recovered_within_s === undefined
          ? null
          : Math.max(SHORTEST, number(slo.recovered_within_s, `${at}: recovered_within_s`) * number(scale.time, 'time')),
    },
    baselineP99Ms: baseline(file.scenarios),
    sold: oneOf(expect.sold, ['all', 'none', 'any'] as const, `${at}: sold`),
    invariants: list(found.invariants, `${at}: invariants`).map((item) => oneOf(item, INVARIANTS, `${at}: invariants`)),
  };
}

/** The tag on all samples of a run, for dashboards. */
export function testId(plan: Plan): string {
  return __ENV.TESTID || `${plan.name}-${plan.profile}`;
}

/** Arrivals per second at the busiest moment. */
export function peakRate(arrivals: Arrivals): number {
  switch (arrivals.kind) {
    case 'iterations':
      return 1;
    case 'constant':
      return arrivals.rate;
    case 'ramping':
      return arrivals.stages.reduce((peak, stage) => Math.max(peak, stage.rate), arrivals.startRate);
  }
}

/** Arrivals that surely come, and those that come at most: a generator may round at the edge of each stage. */
export function arrivalsPlanned(arrivals: Arrivals): { least: number; most: number } {
  switch (arrivals.kind) {
    case 'iterations':
      return { least: arrivals.count, most: arrivals.count };
    case 'constant':
      return around(arrivals.rate * arrivals.seconds, 1);
    case 'ramping': {
      let rate = arrivals.startRate;
      let sum = 0;
      for (const stage of arrivals.stages) {
        sum += ((rate + stage.rate) / 2) * stage.seconds;
        rate = stage.rate;
      }
      return around(sum, arrivals.stages.length + 1);
    }
  }
}

/** Planned rate when the arrival with this number (from 0) comes: per second. */
export function rateAt(arrivals: Arrivals, arrival: number): number {
  if (arrivals.kind !== 'ramping') return peakRate(arrivals);
  let rate = arrivals.startRate;
  let before = 0;
  for (const stage of arrivals.stages) {
    const inStage = ((rate + stage.rate) / 2) * stage.seconds;
    if (arrival < before + inStage) {
      // n = r t + a t² / 2, so the rate at n is the root of r² + 2 a n.
      const slope = (stage.rate - rate) / stage.seconds;
      return Math.sqrt(Math.max(0, rate * rate + 2 * slope * (arrival - before)));
    }
    before += inStage;
    rate = stage.rate;
  }
  return rate;
}

/**
 * Number of the first arrival so long after the end of the first stage in which the rate falls: from then on the server
 * has recovered. Nothing: that is not judged.
 */
export function recoveredFrom(plan: Plan): number | null {
  const { arrivals, slo } = plan;
  if (slo.recoveredWithinS === null || arrivals.kind !== 'ramping') return null;
  let rate = arrivals.startRate;
  let arrived = 0;
  let left: number | null = null;
  for (const stage of arrivals.stages) {
    if (left !== null) {
      // n = r t + a t² / 2, to the end of the stage or of the time that the server has.
      const time = Math.min(left, stage.seconds);
      arrived += rate * time + (((stage.rate - rate) / stage.seconds) * time * time) / 2;
      left -= time;
      if (left <= 0) return Math.ceil(arrived);
    } else {
      arrived += ((rate + stage.rate) / 2) * stage.seconds;
      if (stage.rate < rate) left = slo.recoveredWithinS;
    }
    rate = stage.rate;
  }
  throw new Error(`scenario ${plan.name}: recovered_within_s: the rate never falls, or all is over so long after it`);
}

/** How many bands the rates of a rising scenario are reported in. */
export const BANDS = 20;

/** The band of rates in which an arrival with this number comes: from 0. */
export function bandOf(plan: Plan, arrival: number): number {
  return Math.min(BANDS - 1, Math.floor((rateAt(plan.arrivals, arrival) / peakRate(plan.arrivals)) * BANDS));
}

/** Units of the SKU with this index: divided evenly, the first SKUs get the remainder. */
export function unitsOf(plan: Plan, sku: number): number {
  const { skus, units } = plan.stock;
  return Math.floor(units / skus) + (sku < units % skus ? 1 : 0);
}

function readArrivals(from: unknown, at: string, rate: number, time: number): Arrivals {
  const kind = (from as { kind?: unknown } | null)?.kind;
  const seconds = (value: unknown) => Math.max(SHORTEST, number(value, `${at}: seconds`) * time);
  switch (kind) {
    case 'iterations': {
      const found = fields(from, `${at}: arrivals`, ['kind', 'count']);
      return { kind, count: count(found.count, `${at}: count`, 1) };
    }
    case 'constant': {
      const found = fields(from, `${at}: arrivals`, ['kind', 'rate', 'seconds']);
      return { kind, rate: number(found.rate, `${at}: rate`) * rate, seconds: seconds(found.seconds) };
    }
    case 'ramping': {
      const found = fields(from, `${at}: arrivals`, ['kind', 'start_rate', 'stages']);
      const stages = list(found.stages, `${at}: stages`).map((item) => {
        const stage = fields(item, `${at}: stage`, ['seconds', 'rate']);
        return { seconds: seconds(stage.seconds), rate: number(stage.rate, `${at}: rate`) * rate };
      });
      return { kind, startRate: number(found.start_rate, `${at}: start_rate`) * rate, stages };
    }
    default:
      throw new Error(`${at}: arrivals of kind ${String(kind)} are not known`);
  }
}

function around(sum: number, slack: number): { least: number; most: number } {
  return { least: Math.max(0, Math.floor(sum) - slack), most: Math.ceil(sum) + slack };
}

/** What others are compared with. */
function baseline(scenarios: unknown): number {
  const measured = __ENV.BASELINE_P99_MS;
  if (measured) {
    const found = Number(measured);
    if (!(found > 0)) throw new Error(`BASELINE_P99_MS: ${measured} is no number of milliseconds`);
    return found;
  }
  const found = entry(scenarios, 'baseline', 'scenario') as { slo?: { accepted_p99_ms?: unknown } };
  return number(found.slo?.accepted_p99_ms, 'scenario baseline: accepted_p99_ms');
}

/** The object's fields: these, and perhaps some of `more`. */
function fields<Name extends string, More extends string = never>(
  from: unknown,
  at: string,
  names: Name[],
  more: More[] = [],
): Record<Name | More, unknown> {
  if (typeof from !== 'object' || from === null || Array.isArray(from)) throw new Error(`${at}: expected an object`);
  for (const name of Object.keys(from)) {
    if (![...names, ...more].some((known) => known === name)) throw new Error(`${at}: the field ${name} is not known`);
  }
  for (const name of names) {
    if (!(name in from)) throw new Error(`${at}: the field ${name} is missing`);
  }
  return from as Record<Name | More, unknown>;
}

function entry(from: unknown, name: string, what: string): unknown {
  const all = typeof from === 'object' && from !== null ? (from as Record<string, unknown>) : {};
  if (!Object.keys(all).includes(name)) {
    throw new Error(`there is no ${what} "${name}"; there are: ${Object.keys(all).join(', ')}`);
  }
  return all[name];
}

function number(from: unknown, at: string): number {
  if (typeof from !== 'number' || !Number.isFinite(from) || from < 0)
    throw new Error(`${at}: expected a number from 0`);
  return from;
}

function count(from: unknown, at: string, least: number): number {
  const found = number(from, at);
  if (!Number.isInteger(found) || found < least) throw new Error(`${at}: expected a whole number from ${least}`);
  return found;
}

function word(from: unknown, at: string): string {
  if (typeof from !== 'string') throw new Error(`${at}: expected a text`);
  return from;
}

function list(from: unknown, at: string): unknown[] {
  if (!Array.isArray(from)) throw new Error(`${at}: expected a list`);
  return from;
}

function oneOf<Word extends string>(from: unknown, words: readonly Word[], at: string): Word {
  const found = words.find((known) => known === from);
  if (found === undefined) throw new Error(`${at}: ${String(from)} is none of ${words.join(', ')}`);
  return found;
}
