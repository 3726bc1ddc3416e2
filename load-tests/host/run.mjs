#!/usr/bin/env node
/**
 * Runs a load test where there is no k6: `node load-tests/host/run.mjs load-tests/smoke.ts`. It offers the modules that
 * the scripts import and nothing else, and exits as k6 does: 0, 99 when a threshold was not met, 107 when the script
 * threw outside of an iteration, 104 when its options cannot be understood, 108 when the script aborted the test.
 */
import { writeFileSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import { COMMON, EXECUTORS, execute, isTimed, usersAtOnce, usersOf } from './executors.mjs';
import { seconds } from './metrics.mjs';
import { Host, User } from './script.mjs';

const EXIT = { good: 0, thresholds: 99, options: 104, interrupted: 105, script: 107, aborted: 108 };
/** Thresholds that may end the run are judged so often, in milliseconds. */
const JUDGE_EVERY = 2000;
/** Above this share of one core the generator measures itself, in percent. */
const SATURATED = 80;

/** An error with the exit code that it leads to. */
class Failed extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

/** Loads a script; its host, with options understood, and the first virtual user. */
export function load(entry, env, compiled, words = console) {
  const host = attempt(EXIT.script, () => new Host(entry, env, compiled, words));
  const first = attempt(EXIT.script, () => new User(host, 0));
  host.options = first.exports.options ?? {};
  return { host, first };
}

/** The scenarios of the options, checked. */
export function scenariosOf(options, exports) {
  const scenarios = Object.entries(options.scenarios ?? {});
  if (scenarios.length === 0) throw new Failed(EXIT.options, 'the options name no scenario');
  return scenarios.map(([name, scenario]) => {
    const fields = EXECUTORS[scenario.executor];
    if (fields === undefined) throw new Failed(EXIT.options, `${name}: the host has no executor ${scenario.executor}`);
    for (const field of Object.keys(scenario)) {
      if (!fields.includes(field) && !COMMON.includes(field)) {
        throw new Failed(EXIT.options, `${name}: ${scenario.executor} takes no ${field}`);
      }
    }
    const exec = scenario.exec ?? 'default';
    if (typeof exports[exec] !== 'function') throw new Failed(EXIT.options, `${name}: there is no function ${exec}`);
    return { ...scenario, name, exec };
  });
}

/**
 * Runs a script to its end; its exit code.
 *
 * @param {string} entry path of the script
 * @param {Record<string, string | undefined>} env what it sees as `__ENV`
 * @param words where what it and the host have to say goes: `log` and `error`
 * @param compiled what `compile` made of it before, if anything
 */
export async function runScript(entry, env, words = console, compiled = undefined) {
  const signals = ['SIGINT', 'SIGTERM'];
  let onSignal = () => {};
  try {
    const { host, first } = load(entry, env, compiled, words);
    onSignal = () => (host.aborted ??= 'interrupted');
    for (const signal of signals) process.on(signal, onSignal);
    return await main(host, first);
  } catch (error) {
    if (!(error instanceof Failed)) throw error;
    words.error(error.message);
    return error.code;
  } finally {
    for (const signal of signals) process.off(signal, onSignal);
  }
}

async function main(host, first) {
  const { options, metrics } = host;
  const scenarios = scenariosOf(options, first.exports);
  attempt(EXIT.options, () => metrics.judgeBy(options.thresholds ?? {}));

  host.began = performance.now();
  const elapsed = () => (performance.now() - host.began) / 1000;
  const data = JSON.stringify(await stage(first, 'setup', undefined, options.setupTimeout ?? '60s'));

  const watch = setInterval(() => {
    if (metrics.judge(elapsed(), false)) host.aborted ??= 'a threshold';
  }, JUDGE_EVERY);
  let id = 0;
  const newUser = () => new User(host, ++id);
  const idle = Array.from({ length: usersAtOnce(scenarios) }, newUser);
  const [cpu, from] = [process.cpuUsage(), performance.now()];
  const runs = scenarios.map(async (scenario) => {
    await new Promise((wake) => setTimeout(wake, seconds(scenario.startTime ?? '0s') * 1000));
    const users = idle.splice(0, usersOf(scenario));
    // In the place of those that were interrupted.
    while (users.length < usersOf(scenario)) users.push(newUser());
    await execute(host, scenario, users, data);
    idle.push(...users.filter((user) => !user.ended));
  });
  await Promise.all(runs);
  for (const user of idle) user.end();
  clearInterval(watch);
  const used = process.cpuUsage(cpu);
  // Iterations that are shared out go as fast as they can: only with a rate of arrivals is a busy generator a late one.
  const timed = scenarios.some(isTimed);
  const percent = timed ? Math.round((used.user + used.system) / 10 / (performance.now() - from)) : undefined;

  await stage(first, 'teardown', data, options.teardownTimeout ?? '60s');
  metrics.judge(elapsed(), true);
  await summarise(host, first, elapsed(), percent);
  first.end();
  return exitCode(host, percent);
}

/** Runs `setup` or `teardown`, if there is one. */
async function stage(user, name, data, timeout) {
  const work = user.exports[name];
  if (work === undefined) return undefined;
  user.tags = { ...user.host.options?.tags, group: `::${name}` };
  let timer;
  const tooLong = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${name} took longer than ${timeout}`)), seconds(timeout) * 1000);
  });
  try {
    return await Promise.race([work(data === undefined ? undefined : JSON.parse(data)), tooLong]);
  } catch (error) {
    // A run without an end has no verdict: nothing is written that could be taken for one.
    throw new Failed(EXIT.script, `${name}: ${error.stack ?? error}`);
  } finally {
    clearTimeout(timer);
  }
}

async function summarise(host, user, duration, percent) {
  const { options, metrics } = host;
  const stats = options.summaryTrendStats ?? ['avg', 'min', 'med', 'max', 'p(90)', 'p(95)'];
  const data = {
    metrics: metrics.summary(stats, duration),
    state: { testRunDurationMs: duration * 1000, isStdOutTTY: false, isStdErrTTY: false },
    options: { summaryTrendStats: stats },
    // k6 says nothing of the kind; the report uses it where it is there.
    host: { generator_cpu_percent: percent },
  };
  const files = (await user.exports.handleSummary?.(data)) ?? {};
  for (const [name, text] of Object.entries(files)) {
    if (name === 'stdout') host.words.log(text.trimEnd());
    else if (name === 'stderr') host.words.error(text.trimEnd());
    else writeFileSync(name, text);
  }
}

function exitCode(host, percent) {
  const failed = host.metrics.failed();
  for (const name of failed) host.words.error(`threshold not met: ${name}`);
  if (host.aborted === 'interrupted') return EXIT.interrupted;
  if (host.aborted !== undefined && host.aborted !== 'a threshold') return EXIT.aborted;
  if (percent > SATURATED) host.words.error(`the generator used ${percent} % of a core: the run proves nothing`);
  return failed.length > 0 || percent > SATURATED ? EXIT.thresholds : EXIT.good;
}

function attempt(code, work) {
  try {
    return work();
  } catch (error) {
    throw error instanceof Failed ? error : new Failed(code, error.stack ?? String(error));
  }
}

if (process.argv[1] !== undefined && import.meta.url === new URL(`file://${process.argv[1]}`).href) {
  const [entry] = process.argv.slice(2);
  if (entry === undefined) {
    console.error('usage: node load-tests/host/run.mjs SCRIPT.ts');
    process.exit(2);
  }
  process.exit(await runScript(entry, process.env));
}
