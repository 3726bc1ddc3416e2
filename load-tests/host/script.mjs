/**
 * A compiled script, and its life in each virtual user: modules of its own, so that nothing is shared between users
 * that k6 would not share.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import vm from 'node:vm';
import { compile } from './compile.mjs';
import { httpModule } from './http.mjs';
import { Metrics } from './metrics.mjs';

const METRICS = { Counter: 'counter', Gauge: 'gauge', Rate: 'rate', Trend: 'trend' };

/** What all virtual users of a run share, as in k6: metrics, shared arrays, options. */
export class Host {
  metrics = new Metrics();
  /** Set once the script was loaded for the first time. */
  options = undefined;
  completed = 0;
  interrupted = 0;
  began = 0;
  /** Why the test is to end early. */
  aborted = undefined;
  #shared = new Map();
  #wrappers = new Map();

  constructor(entry, env, compiled = compile(entry), words = console) {
    this.words = words;
    this.entry = path.resolve(entry);
    this.env = env;
    for (const [file, text] of compiled) {
      const wrapped = `(function (exports, require, open, __ENV, console) {${text}\n})`;
      this.#wrappers.set(file, new vm.Script(wrapped, { filename: file }).runInThisContext());
    }
  }

  /** Loads the script for a virtual user; what it exports. */
  load(vu) {
    const modules = new Map(Object.entries(this.#modulesOf(vu)));
    const require = (name, from) => {
      const at = name.startsWith('.') ? path.resolve(path.dirname(from), name) : name;
      if (modules.has(at)) return modules.get(at);
      const wrapper = this.#wrappers.get(at);
      if (wrapper === undefined) throw new Error(`there is no module ${name}`);
      const exports = {};
      modules.set(at, exports);
      wrapper(
        exports,
        (inner) => require(inner, at),
        (file) => this.#open(vu, file),
        this.env,
        this.words,
      );
      return exports;
    };
    vu.loading = true;
    const exports = require(this.entry, this.entry);
    vu.loading = false;
    return exports;
  }

  /** k6 counts the path from the entry script, wherever the call stands. */
  #open(vu, file) {
    if (!vu.loading) throw new Error('open() works only while the script is loaded');
    return readFileSync(path.resolve(path.dirname(this.entry), file), 'utf8');
  }

  #modulesOf(vu) {
    const { metrics } = this;
    const custom = {};
    for (const [name, type] of Object.entries(METRICS)) {
      custom[name] = class {
        #metric;
        constructor(called) {
          if (!vu.loading) throw new Error('metrics are made only while the script is loaded');
          this.name = called;
          this.#metric = metrics.declare(called, type);
        }
        add(value, tags) {
          const number = Number(value);
          if (Number.isNaN(number)) throw new Error(`${this.name}: ${String(value)} is no number`);
          metrics.add(this.#metric, number, tags, vu.tags);
        }
      };
    }
    const check = (value, checks, tags) => {
      let good = true;
      for (const [name, holds] of Object.entries(checks)) {
        const held = Boolean(typeof holds === 'function' ? holds(value) : holds);
        good &&= held;
        metrics.add(metrics.get('checks'), held ? 1 : 0, { check: name, ...tags }, vu.tags);
      }
      return good;
    };
    const sleep = async (length) => {
      await new Promise((wake) => setTimeout(wake, length * 1000));
      if (vu.ended) throw new Error('the iteration was interrupted');
    };
    const esm = (module) => ({ __esModule: true, ...module, default: module });
    return {
      k6: esm({ check, sleep }),
      'k6/http': httpModule(this, vu),
      'k6/metrics': esm(custom),
      'k6/execution': { __esModule: true, default: this.#execution(vu) },
      'k6/data': esm({ SharedArray: this.#sharedArray(vu) }),
    };
  }

  #execution(vu) {
    const host = this;
    return {
      get scenario() {
        if (vu.scenario === undefined) throw new Error('there is no scenario outside of an iteration');
        const { name, executor, startTime } = vu.scenario;
        return { name, executor, startTime, iterationInTest: vu.iteration, iterationInInstance: vu.iteration };
      },
      get instance() {
        return {
          iterationsCompleted: host.completed,
          iterationsInterrupted: host.interrupted,
          currentTestRunDuration: performance.now() - host.began,
        };
      },
      vu: { idInTest: vu.id, idInInstance: vu.id },
      test: {
        options: this.options,
        abort: (why) => {
          host.aborted ??= why ?? 'by the script';
          throw new Error(`the test is aborted: ${host.aborted}`);
        },
      },
    };
  }

  /** One copy for all, of which each read is a copy, so that nobody can change it for others. */
  #sharedArray(vu) {
    const shared = this.#shared;
    return function SharedArray(name, make) {
      if (!vu.loading) throw new Error('a SharedArray is made only while the script is loaded');
      if (!shared.has(name)) {
        const made = make();
        if (!Array.isArray(made)) throw new Error(`the SharedArray "${name}" needs an array`);
        shared.set(name, Object.freeze(made.map((item) => JSON.stringify(item))));
      }
      const items = shared.get(name);
      return new Proxy([], {
        get: (target, key) => {
          if (key === 'length') return items.length;
          if (key === Symbol.iterator) return () => items.map((item) => JSON.parse(item))[Symbol.iterator]();
          if (typeof key === 'string' && /^\d+$/.test(key))
            return items[key] === undefined ? undefined : JSON.parse(items[key]);
          return target[key];
        },
        set: () => {
          throw new Error('a SharedArray cannot be changed');
        },
      });
    };
  }
}

/** One virtual user. */
export class User {
  onEnd = [];
  /** The iteration was interrupted: its next request or pause ends it. */
  ended = false;
  /** How late the arrival began, in milliseconds, until its first request takes that over. */
  late = 0;
  /** Tags of all its samples. */
  tags = {};
  scenario = undefined;
  iteration = 0;
  responseCallback = undefined;
  #data;

  constructor(host, id) {
    this.host = host;
    this.id = id;
    this.exports = host.load(this);
  }

  /** Runs one iteration. What it throws is printed and counts for nothing, as in k6. */
  async iterate(scenario, number, late, data) {
    const { host } = this;
    const { metrics } = host;
    const began = performance.now();
    [this.scenario, this.iteration, this.late] = [scenario, number, late];
    if (this.tags.scenario !== scenario.name) this.tags = { ...host.options?.tags, scenario: scenario.name, group: '' };
    // A copy of its own, made once.
    this.#data ??= data === undefined ? undefined : JSON.parse(data);
    try {
      await this.exports[scenario.exec](this.#data);
    } catch (error) {
      host.words.error(`iteration ${number}: ${error.stack ?? error}`);
    }
    if (this.ended) return;
    host.completed += 1;
    metrics.add(metrics.get('iterations'), 1, undefined, this.tags);
    metrics.add(metrics.get('iteration_duration'), performance.now() - began + late, undefined, this.tags);
  }

  end() {
    this.ended = true;
    for (const finish of this.onEnd) finish();
  }
}
