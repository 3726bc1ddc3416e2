/** The load tests turn red when the shop lies, say about what, and stay green when it does not. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, describe, test } from 'node:test';
import { compile } from '../host/compile.mjs';
import { runScript } from '../host/run.mjs';
import { FAULTS, openShop } from './shop.mjs';

const HERE = path.resolve(import.meta.dirname ?? path.dirname(new URL(import.meta.url).pathname), '..');
const directory = mkdtempSync(path.join(tmpdir(), 'load-tests-'));
after(() => rmSync(directory, { recursive: true }));

const compiled = new Map();

/** Runs a scenario against a shop with this fault; its exit code, summary, JUnit and words. */
async function run(scenario, fault, env = {}) {
  const shop = await openShop(fault);
  const out = mkdtempSync(path.join(directory, 'run-'));
  const entry = path.join(HERE, `${scenario}.ts`);
  if (!compiled.has(entry)) compiled.set(entry, compile(entry));
  let words = '';
  const say = (...text) => (words += `${text.join(' ')}\n`);
  const exit = await runScript(entry, environment(shop, out, env), { log: say, error: say }, compiled.get(entry));
  await shop.close();
  const read = (name) => readFileSync(path.join(out, name), 'utf8');
  return {
    exit,
    words,
    summary: JSON.parse(read('summary.json')),
    junit: read('junit.xml'),
    report: read('report.md'),
  };
}

function environment(shop, out, env) {
  // Truth is tested here: how fast a busy machine is, is not, but where a test says so.
  const common = {
    PROFILE: 'ci',
    SLO_FACTOR: '100000',
    STAMPEDE_URL: shop.url,
    STAMPEDE_KEY: 'sk_test',
    OUT_DIR: out,
    USERS: '250',
  };
  return { ...common, ...env };
}

/** As people run it: its exit code and words. */
async function runCommand(scenario, fault, env = {}) {
  const shop = await openShop(fault);
  const args = [path.join(HERE, 'host/run.mjs'), path.join(HERE, `${scenario}.ts`)];
  const child = spawn(process.execPath, args, { env: { ...process.env, ...environment(shop, directory, env) } });
  let words = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (words += text));
  const exit = await new Promise((resolve) => child.on('close', resolve));
  await shop.close();
  return { exit, words };
}

test('the command exits with 0 when all is well, 99 when a threshold is not met, 107 when the script fails', async () => {
  const good = await runCommand('smoke', undefined);
  assert.equal(good.exit, 0, good.words);
  assert.match(good.words, /5 orders.*PASS/);
  const bad = await runCommand('single-unit', 'oversells by one');
  assert.equal(bad.exit, 99, bad.words);
  const keyless = await runCommand('smoke', undefined, { STAMPEDE_KEY: '' });
  assert.equal(keyless.exit, 107);
  assert.match(keyless.words, /set STAMPEDE_KEY/);
});

function green(scenario) {
  test(`${scenario} is green against an honest shop`, async () => {
    const { exit, words, summary, junit, report } = await run(scenario, undefined);
    assert.equal(exit, 0, words);
    assert.equal(summary.verdict, 'PASS', words);
    assert.deepEqual(summary.reasons, []);
    assert.ok(summary.arrivals > 0);
    for (const [invariant, { evaluated, violated }] of Object.entries(summary.invariants)) {
      assert.ok(evaluated > 0, `${invariant} was not evaluated`);
      assert.equal(violated, 0, invariant);
    }
    assert.ok(!junit.includes('<failure') && junit.includes('invariant_violations{invariant:oversell}'));
    assert.match(report, /PASS/);
  });
}

green('smoke');
green('single-unit');

/** Fault, scenario, and what must be named in the reasons. */
const LIES = [
  ['oversells by one', 'single-unit', /oversell was broken/],
  ['oversells by one and hides it in its counters', 'single-unit', /oversell was broken/],
  ['undersells by one', 'single-unit', /undersell was broken/],
  ['answers 200 to a refusal', 'single-unit', /polite_refusal was broken/],
  ['is busy without saying until when', 'smoke', /polite_refusal was broken/],
  ['answers a repeat with other bytes', 'smoke', /idempotent_replay was broken/],
  ['takes another body under a used key', 'smoke', /idempotent_replay was broken/],
  ['forgets one order', 'smoke', /lost_order was broken 1 times/],
  ['charges one order twice', 'smoke', /double_charge was broken/],
  ['never captures one order', 'smoke', /undersell was broken|lost_order was broken/],
  ['loses a unit', 'smoke', /conservation was broken/],
  ['answers another order than the one placed', 'smoke', /checks: rate==1/],
];

function red(fault, scenario, reason) {
  test(`${scenario} is red against a shop that ${fault}`, async () => {
    const { exit, words, summary, junit } = await run(scenario, fault);
    assert.equal(exit, 99, words);
    assert.equal(summary.verdict, 'FAIL');
    assert.match(summary.reasons.join('\n'), reason);
    assert.ok(junit.includes('<failure'));
  });
}

for (const lie of LIES) red(...lie);

test('a connection that breaks is no lie: the buyer asks again with the same key', async () => {
  const { exit, words, summary } = await run('single-unit', 'hangs up');
  assert.match(summary.reasons.join('\n'), /http_req_failed/, words);
  assert.equal(exit, 99);
  assert.equal(summary.invariants.lost_order.violated + summary.invariants.oversell.violated, 0);
});

// These take some seconds each, in which little is to be done.
describe('longer runs', { concurrency: true }, () => {
  green('retry-storm');
  red('writes for refusals', 'after-sold-out', /checks: rate==1/);

  test('a slow shop fails only by its latency', async () => {
    const { exit, summary } = await run('retry-storm', 'is slow', { SLO_FACTOR: '1' });
    assert.equal(exit, 99);
    assert.equal(summary.verdict, 'FAIL');
    assert.ok(summary.accepted_ms.p50 >= 150);
    assert.deepEqual(
      summary.reasons.map((reason) => reason.replace(/p\(.*/, '')),
      ['threshold not met: accepted_ms: '],
    );
  });

  test('a shop that does not recover from a spike is told so', async () => {
    const { exit, words, summary } = await run('flash-spike', 'stays slow after a rush', { SLO_FACTOR: '2' });
    assert.equal(exit, 99, words);
    assert.equal(summary.verdict, 'FAIL', words);
    assert.ok(summary.reasons.includes('threshold not met: recovered_ms: p(99)<100'), summary.reasons.join('\n'));
  });

  test('a frozen shop makes the run void: arrivals were dropped', async () => {
    const { exit, summary } = await run('flash-spike', 'freezes', { USERS: '100' });
    assert.equal(exit, 99);
    assert.ok(summary.dropped_arrivals > 0);
    assert.equal(summary.verdict, 'VOID', summary.reasons.join('\n'));
  });
});

test('every fault is tried', () => {
  const elsewhere = ['writes for refusals', 'hangs up', 'is slow', 'freezes', 'stays slow after a rush'];
  const tried = new Set([...LIES.map(([fault]) => fault), ...elsewhere]);
  assert.deepEqual(
    FAULTS.filter((fault) => !tried.has(fault)),
    [],
  );
});
