/** The host does as k6 does, its traps included; and what it cannot do, it says. */
import assert from 'node:assert/strict';
import http from 'node:http';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { compile } from '../host/compile.mjs';
import { Metrics, parseRule, seconds } from '../host/metrics.mjs';
import { runScript } from '../host/run.mjs';
import { Host, User } from '../host/script.mjs';

const directory = mkdtempSync(path.join(tmpdir(), 'host-'));
let server;
let url;
let most = 0;
let connections = 0;

before(async () => {
  let inside = 0;
  server = http.createServer((request, response) => {
    most = Math.max(most, ++inside);
    response.on('close', () => (inside -= 1));
    const [, status, wait] = request.url.split('/').map(Number);
    setTimeout(() => response.writeHead(status, { 'retry-after': '3' }).end('{"a":1}'), wait);
  });
  server.on('connection', () => (connections += 1));
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${server.address().port}`;
});
after(() => {
  server.closeAllConnections();
  server.close();
  rmSync(directory, { recursive: true });
});

function script(name, text) {
  const file = path.join(directory, `${name}.ts`);
  writeFileSync(file, text);
  return file;
}

/** Runs a script; its exit code, its words, and what `handleSummary` was given. */
async function run(name, text) {
  let words = '';
  const say = (...parts) => (words += `${parts.join(' ')}\n`);
  const summary = "\nexport function handleSummary(data) { return { stdout: '#' + JSON.stringify(data) }; }";
  const exit = await runScript(script(name, text + summary), { URL: url }, { log: say, error: say });
  const line = words.split('\n').find((part) => part.startsWith('#'));
  return { exit, words, metrics: line === undefined ? undefined : JSON.parse(line.slice(1)).metrics };
}

const arrivalRate = (rate, duration, users) =>
  `scenarios: { s: { executor: 'constant-arrival-rate', rate: ${rate}, timeUnit: '1s', duration: '${duration}', preAllocatedVUs: ${users} } }`;

test('arrivals do not wait for answers, and those without a user are dropped', async () => {
  const text = `import http from 'k6/http';
    export const options = { ${arrivalRate(100, '1s', 5)}, thresholds: { dropped_iterations: ['count==0'], iterations: ['count>0'] } };
    export default function () { http.get(__ENV.URL + '/200/500'); }`;
  const { exit, metrics } = await run('drops', text);
  assert.equal(exit, 99);
  const [done, dropped] = [metrics.iterations.values.count, metrics.dropped_iterations.values.count];
  assert.equal(done + dropped, 100);
  assert.ok(done >= 5 && done <= 15, `${done} done`);
});

test('statuses are failures unless the script expects them, and headers are written as Go does', async () => {
  const text = `import http from 'k6/http';
    import { check } from 'k6';
    http.setResponseCallback(http.expectedStatuses(200, { min: 409, max: 410 }));
    export const options = { scenarios: { s: { executor: 'shared-iterations', vus: 1, iterations: 1 } }, thresholds: { http_req_failed: ['rate==0.25'] } };
    export default function () {
      const [a, b, c, d] = http.batch(['200', '409', '410', '500'].map((status) => ({ method: 'GET', url: __ENV.URL + '/' + status + '/300' })));
      check(a, { header: () => a.headers['Retry-After'] === '3', json: () => a.json().a === 1, all: () => d.status === 500 && b.status + c.status === 819 });
    }`;
  most = 0;
  const { exit, words, metrics } = await run('statuses', text);
  assert.equal(exit, 0, words);
  assert.deepEqual(metrics.checks.values, { rate: 1, passes: 3, fails: 0 });
  assert.equal(most, 4, 'a batch goes out at once');
});

test('an exception ends its iteration and fails nothing, as in k6', async () => {
  const text = `import { sleep } from 'k6';
    export const options = { scenarios: { s: { executor: 'shared-iterations', vus: 1, iterations: 2 } }, thresholds: { iterations: ['count==2'] } };
    export default function () { sleep(0); throw new Error('oops'); }`;
  const { exit, words } = await run('throws', text);
  assert.equal(exit, 0);
  assert.match(words, /oops/);
});

test('an exception in setup or teardown, and options that are not understood, have their exit codes', async () => {
  const end =
    "export const options = { scenarios: { s: { executor: 'shared-iterations' } } };\nexport default function () {}\n";
  assert.equal((await run('setup', `${end}export function setup() { throw new Error('no'); }`)).exit, 107);
  assert.equal((await run('teardown', `${end}export function teardown() { throw new Error('no'); }`)).exit, 107);
  assert.equal((await run('options', end.replace('shared-iterations', 'ramping-vus'))).exit, 104);
  assert.equal((await run('field', end.replace("iterations'", "iterations', stages: []"))).exit, 104);
  assert.equal((await run('metric', end.replace('} } };', "} }, thresholds: { none: ['count>0'] } };"))).exit, 104);
});

test('a threshold may end the run', async () => {
  const text = `import { Counter } from 'k6/metrics';
    const bad = new Counter('bad');
    export const options = { ${arrivalRate(10, '60s', 5)}, thresholds: { bad: [{ threshold: 'count==0', abortOnFail: true }] } };
    export default function () { bad.add(1); }`;
  const began = Date.now();
  assert.equal((await run('aborts', text)).exit, 99);
  assert.ok(Date.now() - began < 45_000);
});

test('users share metrics and nothing else', async () => {
  const text = `let mine = 0;
    import { Trend } from 'k6/metrics';
    import { sleep } from 'k6';
    const seen = new Trend('seen');
    export const options = { scenarios: { s: { executor: 'shared-iterations', vus: 4, iterations: 8 } }, summaryTrendStats: ['max', 'count'] };
    export default function () { mine += 1; seen.add(mine); sleep(0.05); }`;
  const { metrics } = await run('shared', text);
  assert.deepEqual(metrics.seen.values, { max: 2, count: 8 });
});

test('each user has iterations of its own, and keeps its connection for the scenario after', async () => {
  const text = `import http from 'k6/http';
    import { Counter } from 'k6/metrics';
    const early = new Counter('early');
    const connecting = new Counter('connecting');
    export const options = { scenarios: {
      warm: { executor: 'per-vu-iterations', vus: 5, iterations: 2, exec: 'warm', maxDuration: '500ms', gracefulStop: '0s' },
      s: { executor: 'constant-arrival-rate', rate: 20, timeUnit: '1s', duration: '1s', preAllocatedVUs: 5, startTime: '600ms' },
    }, thresholds: { 'iterations{scenario:warm}': ['count==10'], 'iterations{scenario:s}': ['count==20'] } };
    export function warm() { early.add(1); http.get(__ENV.URL + '/200/0'); }
    export default function () { connecting.add(http.get(__ENV.URL + '/200/0').timings.connecting > 0 ? 1 : 0); }`;
  const before = connections;
  const { exit, words, metrics } = await run('warmed', text);
  assert.equal(exit, 0, words);
  assert.equal(metrics.early.values.count, 10);
  assert.deepEqual([metrics.connecting.values.count, connections - before], [0, 5]);
});

test('a user that was interrupted is replaced', async () => {
  const text = `import http from 'k6/http';
    export const options = { scenarios: {
      slow: { executor: 'per-vu-iterations', vus: 3, iterations: 1, exec: 'slow', maxDuration: '100ms', gracefulStop: '0s' },
      s: { executor: 'constant-arrival-rate', rate: 20, timeUnit: '1s', duration: '1s', preAllocatedVUs: 3, startTime: '300ms' },
    }, thresholds: { 'iterations{scenario:s}': ['count==20'], dropped_iterations: ['count==0'] } };
    export function slow() { http.get(__ENV.URL + '/200/2000'); }
    export default function () { http.get(__ENV.URL + '/200/0'); }`;
  const { exit, words } = await run('replaced', text);
  assert.equal(exit, 0, words);
  assert.match(words, /slow: 3 iterations were interrupted/);
});

test('a late start is part of the first latency', async () => {
  const text = `import http from 'k6/http';
    import { Trend } from 'k6/metrics';
    const blocked = new Trend('blocked');
    export default function () { for (let i = 0; i < 2; i++) blocked.add(http.get(__ENV.URL + '/200/0').timings.blocked); }`;
  const host = new Host(script('late', text), { URL: url });
  const user = new User(host, 1);
  await user.iterate({ name: 's', exec: 'default' }, 0, 250, undefined);
  user.end();
  const { sink } = host.metrics.get('blocked');
  assert.ok(sink.all[0] >= 250 && sink.all[1] < 250, `${sink.all[0]} ${sink.all[1]}`);
});

test('what would be a silent promise is refused', () => {
  const refuse = (text, message) => assert.throws(() => compile(script('refused', text)), message);
  refuse("import http from 'k6/http';\nhttp.get('x');", /must not wait while it is loaded/);
  refuse(
    "import http from 'k6/http';\nexport default function () { [1].map(() => http.get('x')); }",
    /:2: .*nested function/,
  );
  refuse("import http from 'k6/http';\nconst get = http.get;", /must be called here/);
  refuse("import http from 'k6/http';\nconst client = http;", /call the methods of http by name/);
  refuse("import { sleep } from 'k6';\nconst pause = sleep;", /sleep waits/);
  refuse(
    "import { sleep } from 'k6';\nfunction rest() { sleep(1); }\nexport default function () { [1].forEach(rest); }",
    /rest waits/,
  );
  refuse("import ws from 'k6/ws';", /no module k6\/ws/);
});

test('thresholds on metrics without samples pass, as in k6, but for counts', () => {
  const metrics = new Metrics();
  metrics.declare('shop_ms', 'trend');
  metrics.declare('bought', 'counter');
  metrics.judgeBy({ checks: ['rate==1'], shop_ms: ['p(99)<1'], bought: ['count>0'], dropped_iterations: ['count==0'] });
  metrics.judge(1, true);
  assert.deepEqual(metrics.failed(), ['bought: count>0']);
});

test('percentiles lie between samples in proportion', () => {
  const trend = new Metrics().declare('t', 'trend');
  for (let value = 1000; value >= 1; value--) trend.sink.add(value);
  assert.equal(trend.sink.value('med'), 500.5);
  assert.ok(Math.abs(trend.sink.value('p', 0, 99) - 990.01) < 1e-9);
  assert.equal(trend.sink.value('max'), 1000);
});

test('sub-metrics take the samples with their tags', () => {
  const metrics = new Metrics();
  const bought = metrics.declare('bought', 'counter');
  metrics.judgeBy({ 'bought{sku:a}': ['count==1'], 'bought{sku:b,way:cart}': ['count==1'] });
  metrics.add(bought, 1, { sku: 'a' });
  metrics.add(bought, 1, { sku: 'b' }, { way: 'cart', sku: 'a' });
  metrics.add(bought, 1, { sku: 'b', way: 'hold' });
  metrics.judge(1, true);
  assert.deepEqual(metrics.failed(), []);
  assert.equal(bought.sink.count, 3);
});

test('spans and rules are read, or refused', () => {
  assert.equal(seconds('1m30s'), 90);
  assert.equal(seconds('250ms'), 0.25);
  assert.throws(() => seconds('soon'), /no span/);
  assert.throws(() => parseRule('p(99)<1', 'counter'), /a counter has no p/);
  assert.throws(() => parseRule('fast', 'trend'), /cannot be read/);
});
