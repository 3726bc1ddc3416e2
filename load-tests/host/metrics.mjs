/**
 * Metrics as k6 keeps them: what a sample does to each type, sub-metrics by tag, and thresholds.
 * Also k6's trap: a threshold on a rate or trend without a sample passes.
 */

/** Metrics of k6's own that are kept here, with their types. */
export const BUILT_IN = {
  checks: 'rate',
  data_received: 'counter',
  data_sent: 'counter',
  dropped_iterations: 'counter',
  http_req_blocked: 'trend',
  http_req_connecting: 'trend',
  http_req_duration: 'trend',
  http_req_failed: 'rate',
  http_req_receiving: 'trend',
  http_req_sending: 'trend',
  http_req_tls_handshaking: 'trend',
  http_req_waiting: 'trend',
  http_reqs: 'counter',
  iteration_duration: 'trend',
  iterations: 'counter',
};

const RULE = /^\s*(count|rate|value|avg|min|max|med|p\(\s*([\d.]+)\s*\))\s*(<=|>=|===?|!=|<|>)\s*(-?\d+(?:\.\d+)?)\s*$/;
/** What a threshold may be about, by type of metric. */
const AGGREGATES = {
  counter: ['count', 'rate'],
  gauge: ['value'],
  rate: ['rate'],
  trend: ['avg', 'min', 'max', 'med', 'p'],
};

class Counter {
  count = 0;
  samples = 0;
  add(value) {
    this.count += value;
    this.samples += 1;
  }
  value(aggregate, seconds) {
    return aggregate === 'rate' ? this.count / seconds : this.count;
  }
  values(_, seconds) {
    return { count: this.count, rate: this.count / seconds };
  }
}

class Gauge {
  last = 0;
  min = Infinity;
  max = -Infinity;
  samples = 0;
  add(value) {
    this.last = value;
    this.min = Math.min(this.min, value);
    this.max = Math.max(this.max, value);
    this.samples += 1;
  }
  value() {
    return this.last;
  }
  values() {
    return { value: this.last, min: this.samples ? this.min : 0, max: this.samples ? this.max : 0 };
  }
}

class Rate {
  passes = 0;
  samples = 0;
  add(value) {
    if (value !== 0) this.passes += 1;
    this.samples += 1;
  }
  value() {
    return this.samples === 0 ? undefined : this.passes / this.samples;
  }
  values() {
    return { rate: this.value() ?? 0, passes: this.passes, fails: this.samples - this.passes };
  }
}

class Trend {
  all = new Float64Array(256);
  samples = 0;
  sum = 0;
  sorted = true;
  add(value) {
    if (this.samples === this.all.length) {
      const larger = new Float64Array(this.all.length * 2);
      larger.set(this.all);
      this.all = larger;
    }
    this.all[this.samples++] = value;
    this.sum += value;
    this.sorted = false;
  }
  /** Between two samples in proportion. */
  percentile(share) {
    if (this.samples === 0) return undefined;
    if (!this.sorted) this.all.subarray(0, this.samples).sort();
    this.sorted = true;
    const at = (this.samples - 1) * share;
    const low = Math.floor(at);
    const [from, to] = [this.all[low], this.all[Math.min(low + 1, this.samples - 1)]];
    return from + (to - from) * (at - low);
  }
  value(aggregate, _, percent) {
    if (this.samples === 0) return undefined;
    switch (aggregate) {
      case 'avg':
        return this.sum / this.samples;
      case 'min':
        return this.percentile(0);
      case 'max':
        return this.percentile(1);
      case 'med':
        return this.percentile(0.5);
      default:
        return this.percentile(percent / 100);
    }
  }
  values(stats) {
    const found = {};
    for (const stat of stats) {
      const percent = /^p\((.+)\)$/.exec(stat)?.[1];
      found[stat] = stat === 'count' ? this.samples : (this.value(percent ? 'p' : stat, 0, Number(percent)) ?? 0);
    }
    return found;
  }
}

const SINKS = { counter: Counter, gauge: Gauge, rate: Rate, trend: Trend };

/** All metrics of a run. */
export class Metrics {
  #metrics = new Map();
  /** Sub-metrics and metrics that have thresholds, by their name in `options.thresholds`. */
  #judged = new Map();

  constructor() {
    for (const [name, type] of Object.entries(BUILT_IN)) this.declare(name, type);
  }

  /** Makes a metric, or finds the one that is there. */
  declare(name, type) {
    const known = this.#metrics.get(name);
    if (known !== undefined && known.type !== type) throw new Error(`the metric ${name} is a ${known.type} already`);
    if (known !== undefined) return known;
    if (!/^[A-Za-z_][A-Za-z0-9_]{0,127}$/.test(name)) throw new Error(`a metric cannot be called ${name}`);
    const metric = { name, type, sink: new SINKS[type](), parts: [] };
    this.#metrics.set(name, metric);
    return metric;
  }

  /** Adds a sample. Its tags are looked up in the sample's `own` first, then in the user's. */
  add(metric, value, own, common) {
    metric.sink.add(value);
    for (const part of metric.parts) {
      if (part.tags.every(([key, wanted]) => String(own?.[key] ?? common?.[key] ?? '') === wanted))
        part.sink.add(value);
    }
  }

  get(name) {
    const metric = this.#metrics.get(name);
    if (metric === undefined) throw new Error(`there is no metric ${name}`);
    return metric;
  }

  /** Takes in `options.thresholds`. A name without a metric, or a rule that cannot be read, is an error, as in k6. */
  judgeBy(thresholds) {
    for (const [selector, rules] of Object.entries(thresholds)) {
      const { name, tags } = parseSelector(selector);
      const metric = this.get(name);
      let judged = metric;
      if (tags.length > 0) {
        judged = { name: selector, type: metric.type, sink: new SINKS[metric.type](), tags };
        metric.parts.push(judged);
      }
      this.#judged.set(selector, {
        metric: judged,
        rules: rules.map((rule) => parseRule(rule, metric.type)),
        failed: new Set(),
      });
    }
  }

  /** Judges all thresholds. While the run goes on, metrics without a sample are left out. Is the run to be aborted? */
  judge(seconds, atEnd) {
    let abort = false;
    for (const { metric, rules, failed } of this.#judged.values()) {
      if (!atEnd && metric.sink.samples === 0) continue;
      failed.clear();
      for (const rule of rules) {
        if (meets(metric.sink, rule, seconds)) continue;
        failed.add(rule.source);
        abort ||= rule.abortOnFail && seconds >= rule.delay;
      }
    }
    return abort;
  }

  /** Thresholds that were not met when last judged. */
  failed() {
    return [...this.#judged].flatMap(([name, { failed }]) => [...failed].map((rule) => `${name}: ${rule}`));
  }

  /** As `handleSummary` wants it. */
  summary(stats, seconds) {
    const found = {};
    for (const metric of this.#metrics.values()) {
      if (metric.sink.samples > 0) found[metric.name] = describe(metric, stats, seconds);
    }
    for (const [name, { metric, rules, failed }] of this.#judged) {
      found[name] = describe(metric, stats, seconds);
      found[name].thresholds = Object.fromEntries(rules.map(({ source }) => [source, { ok: !failed.has(source) }]));
    }
    return found;
  }
}

function describe(metric, stats, seconds) {
  return { type: metric.type, contains: 'default', values: metric.sink.values(stats, seconds) };
}

/** "name{tag:value,…}" in its parts. */
export function parseSelector(selector) {
  const [, name, inside] = /^([^{]+)(?:\{(.*)\})?$/.exec(selector) ?? [];
  if (name === undefined) throw new Error(`a threshold cannot be about ${selector}`);
  const tags = (inside ?? '').split(',').filter(Boolean);
  return {
    name,
    tags: tags.map((tag) => [tag.slice(0, tag.indexOf(':')).trim(), tag.slice(tag.indexOf(':') + 1).trim()]),
  };
}

/** A threshold, or an error when it is none for this type of metric. */
export function parseRule(rule, type) {
  const {
    threshold: source,
    abortOnFail = false,
    delayAbortEval = '0s',
  } = typeof rule === 'string' ? { threshold: rule } : rule;
  const [, word, percent, operator, limit] = RULE.exec(source) ?? [];
  if (word === undefined) throw new Error(`the threshold "${source}" cannot be read`);
  const aggregate = percent === undefined ? word : 'p';
  if (!AGGREGATES[type].includes(aggregate)) throw new Error(`a ${type} has no ${word}: "${source}"`);
  return {
    source,
    aggregate,
    percent: Number(percent),
    operator,
    limit: Number(limit),
    abortOnFail,
    delay: seconds(delayAbortEval),
  };
}

function meets(sink, { aggregate, percent, operator, limit }, seconds) {
  const value = sink.value(aggregate, Math.max(seconds, 1e-9), percent);
  // Nothing to judge: it passes, as in k6.
  if (value === undefined) return true;
  switch (operator) {
    case '<':
      return value < limit;
    case '<=':
      return value <= limit;
    case '>':
      return value > limit;
    case '>=':
      return value >= limit;
    case '!=':
      return value !== limit;
    default:
      return value === limit;
  }
}

/** A span of k6's, such as "1m30s" or "250ms", in seconds. */
export function seconds(span) {
  const units = { ms: 0.001, s: 1, m: 60, h: 3600 };
  const text = String(span);
  if (!/^(\d+(\.\d+)?(ms|s|m|h))+$/.test(text)) throw new Error(`"${text}" is no span of time`);
  let sum = 0;
  for (const [, number, unit] of text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)) sum += Number(number) * units[unit];
  return sum;
}
