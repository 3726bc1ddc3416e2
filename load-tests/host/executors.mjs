/**
 * When iterations begin. Arrivals come when they come (open model): without a free virtual user they are dropped and
 * counted, as in k6, and an arrival that begins late knows how late.
 */
import { performance } from 'node:perf_hooks';
import { seconds } from './metrics.mjs';

/** Executors there are, and the fields that each takes. */
export const EXECUTORS = {
  'shared-iterations': ['vus', 'iterations', 'maxDuration'],
  'per-vu-iterations': ['vus', 'iterations', 'maxDuration'],
  'constant-arrival-rate': ['rate', 'timeUnit', 'duration', 'preAllocatedVUs', 'maxVUs'],
  'ramping-arrival-rate': ['startRate', 'timeUnit', 'stages', 'preAllocatedVUs', 'maxVUs'],
};
/** Fields that any of them takes. */
export const COMMON = ['executor', 'exec', 'startTime', 'gracefulStop', 'env', 'tags'];

/** Virtual users that a scenario needs. */
export function usersOf(scenario) {
  return isTimed(scenario) ? scenario.preAllocatedVUs : (scenario.vus ?? 1);
}

/** Do its iterations begin at moments of their own? */
export function isTimed(scenario) {
  return scenario.executor.endsWith('-arrival-rate');
}

/** When a scenario begins, and when it is over at the latest, in seconds. */
function spanOf(scenario) {
  const begin = seconds(scenario.startTime ?? '0s');
  const stages = scenario.stages?.reduce((sum, stage) => sum + seconds(stage.duration), 0);
  const length = isTimed(scenario) ? (stages ?? seconds(scenario.duration)) : seconds(scenario.maxDuration ?? '10m');
  return [begin, begin + length + seconds(scenario.gracefulStop ?? '30s')];
}

/** Most users that are needed at once: those of a scenario that is over go on to the next one, as in k6. */
export function usersAtOnce(scenarios) {
  const spans = scenarios.map((scenario) => [...spanOf(scenario), usersOf(scenario)]);
  const at = (moment) => spans.reduce((sum, [from, to, users]) => sum + (from <= moment && moment <= to ? users : 0), 0);
  return Math.max(...spans.map(([from]) => at(from)));
}

/**
 * Runs one scenario to its end.
 *
 * @param host the run
 * @param scenario from the options, with `name` and `exec`
 * @param users virtual users that are its own until it is over; those that were interrupted have ended then
 * @param data what `setup` returned, as JSON
 */
export async function execute(host, scenario, users, data) {
  const started = { ...scenario, startTime: Date.now() };
  const graceful = seconds(scenario.gracefulStop ?? '30s') * 1000;
  const running = new Set();
  const busy = new Set();
  const run = (user, number, late) => {
    busy.add(user);
    const iteration = user.iterate(started, number, late, data).finally(() => {
      running.delete(iteration);
      busy.delete(user);
    });
    running.add(iteration);
    return iteration;
  };
  await (isTimed(scenario) ? asTheyCome : inTurns)(host, scenario, users, run);
  const left = await finished(running, graceful);
  if (left > 0) {
    host.interrupted += left;
    host.words.error(`${scenario.name}: ${left} iterations were interrupted after ${graceful} ms`);
  }
  for (const user of busy) user.end();
}

async function inTurns(host, scenario, users, run) {
  const until = performance.now() + seconds(scenario.maxDuration ?? '10m') * 1000;
  // All take from one heap, or each has one of its own.
  const isShared = scenario.executor === 'shared-iterations';
  let next = 0;
  const turns = async (user) => {
    let own = 0;
    const more = () => (isShared ? next : own++) < (scenario.iterations ?? 1);
    while (more() && host.aborted === undefined && performance.now() < until) {
      await run(user, next++, 0);
    }
  };
  await within(Promise.all(users.map(turns)), until - performance.now());
}

async function asTheyCome(host, scenario, users, run) {
  const times = arrivals(scenario);
  const idle = [...users];
  const dropped = host.metrics.get('dropped_iterations');
  const began = performance.now();
  let number = 0;
  let next = times.next();
  while (!next.done && host.aborted === undefined) {
    const now = performance.now() - began;
    if (next.value > now) {
      await later(next.value - now);
      continue;
    }
    const user = idle.shift();
    if (user === undefined) {
      host.metrics.add(dropped, 1, undefined, { scenario: scenario.name });
    } else {
      void run(user, number++, now - next.value).finally(() => idle.push(user));
    }
    next = times.next();
  }
}

/** The times of all arrivals, in milliseconds from the beginning. */
export function* arrivals(scenario) {
  const unit = seconds(scenario.timeUnit ?? '1s') * 1000;
  if (scenario.executor === 'constant-arrival-rate') {
    const every = unit / scenario.rate;
    const end = seconds(scenario.duration) * 1000;
    for (let number = 0; number * every < end - 1e-6; number++) yield number * every;
    return;
  }
  let [rate, begin, due] = [(scenario.startRate ?? 0) / unit, 0, 1];
  let before = 0;
  for (const stage of scenario.stages) {
    const [length, target] = [seconds(stage.duration) * 1000, stage.target / unit];
    const inStage = ((rate + target) / 2) * length;
    const slope = length === 0 ? 0 : (target - rate) / length;
    for (; due <= before + inStage + 1e-9; due++) {
      const wanted = due - before;
      // wanted = rate t + slope t² / 2, solved for t in the form that is stable for a flat slope.
      const root = Math.sqrt(Math.max(0, rate * rate + 2 * slope * wanted));
      yield begin + Math.min(length, (2 * wanted) / (rate + root));
    }
    before += inStage;
    begin += length;
    rate = target;
  }
}

/** Waits for the running iterations; how many were left. */
async function finished(running, graceful) {
  await within(Promise.all(running), graceful);
  return running.size;
}

function later(milliseconds) {
  return new Promise((wake) => setTimeout(wake, Math.max(0, milliseconds)));
}

/** Comes back when the work is done, or after so long. */
async function within(work, milliseconds) {
  let timer;
  const limit = new Promise((wake) => (timer = setTimeout(wake, Math.max(0, milliseconds))));
  await Promise.race([work, limit]);
  clearTimeout(timer);
}
