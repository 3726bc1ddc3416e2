/** Each trap, put into a script that has none, is found, and nothing else is. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { lintAll, lintScript } from '../lint/lint.mjs';
import { lintText } from '../lint/source.mjs';

const HERE = import.meta.dirname ?? path.dirname(new URL(import.meta.url).pathname);
const GOOD = readFileSync(path.join(HERE, 'fixtures/good.ts'), 'utf8');
const directory = mkdtempSync(path.join(tmpdir(), 'lint-'));
after(() => rmSync(directory, { recursive: true }));

/** Trap, the rule that finds it, what is replaced by what. */
const TRAPS = [
  [
    'a threshold on a trend without a floor',
    'floor-missing',
    "bought: ['count>0'],",
    "bought: ['count>0'], checkout_ms: ['p(99)<100'],",
  ],
  ['a count of zero without a floor', 'floor-missing', "bought: ['count>0'],", "bought: ['count==0'],"],
  ['checks without a floor', 'floor-missing', "iterations: ['count>0'],", '', 2],
  ['a floor that is always met', 'vacuous-rule', "iterations: ['count>0'],", "iterations: ['count>0', 'count>=0'],"],
  ['a rate that cannot be more than 1', 'vacuous-rule', "checks: ['rate==1'],", "checks: ['rate==1', 'rate<=1'],"],
  [
    'an invariant without its evaluations',
    'floor-missing',
    "'invariants_evaluated{invariant:oversell}': ['count==1'],",
    '',
  ],
  ['a misspelt metric', 'unknown-metric', "bought: ['count>0'],", "bougth: ['count>0'],"],
  ['a misspelt tag', 'unknown-tag', "'bought{sku:a}'", "'bought{skv:a}'"],
  ['a misspelt value of a tag', 'unknown-tag', "'bought{sku:a}'", "'bought{sku:z}'"],
  ['a rule that is none', 'rule-unreadable', "bought: ['count>0'],", "bought: ['count>0', 'p(99)<1'],"],
  ['a closed model', 'closed-model', "executor: 'ramping-arrival-rate',", "executor: 'ramping-vus',"],
  ['the default executor', 'closed-model', /scenarios: \{[\s\S]*?\n  \},\n  thresholds/, 'thresholds'],
  [
    'stages beside another executor',
    'stray-field',
    "executor: 'ramping-arrival-rate',",
    "executor: 'constant-arrival-rate', rate: 5, duration: '1s',",
  ],
  ['a shortcut beside scenarios', 'stray-field', 'thresholds: {', "duration: '1m', thresholds: {"],
  ['users allocated during the run', 'max-vus', 'preAllocatedVUs: 200,', 'preAllocatedVUs: 200, maxVUs: 900,'],
  ['too few users', 'too-few-users', "bought: ['count>0'],", "bought: ['count>0'], checkout_ms: ['p(99)<2000'],", 1],
  ['drops that are not judged', 'dropped-iterations-missing', "dropped_iterations: ['count==0'],", ''],
  ['checks that are not judged', 'checks-missing', "checks: ['rate==1'],", ''],
  ['refusals as failures', 'response-callback-missing', /http.setResponseCallback.*\n/, ''],
  ['busy answers as failures', 'response-callback-missing', '409, 429, 503', '409'],
  ['faults as good answers', 'response-callback-missing', '409, 429, 503', '409, 429, 500, 503'],
  ['no audit at the end', 'audit-missing', 'export function teardown', 'export function tearDown'],
  ['no summary', 'audit-missing', 'export function handleSummary', 'export function summary'],
  [
    'open() in a function',
    'open-in-function',
    "bought.add(1, { sku: 'a' });",
    "bought.add(1, { sku: 'a' }); open('./a');",
  ],
  [
    'open() of a computed path',
    'open-path',
    'export const options',
    "const text = typeof open === 'string' ? open('a' + '') : 1;\nexport const options",
  ],
  [
    'a metric made too late',
    'metric-in-function',
    "bought.add(1, { sku: 'a' });",
    "new Counter('bought').add(1, { sku: 'a' });",
  ],
  ['state that is not shared', 'shared-state', 'export const options', 'let seen = 0;\nexport const options'],
  ['a shared array handed on by setup', 'shared-array-returned', 'return { first: skus[0] };', 'return { skus };'],
  [
    'a shared array as text',
    'shared-array-stringified',
    'return { first: skus[0] };',
    'return JSON.stringify(skus).length;',
    1,
  ],
  [
    'a shared array filtered outside',
    'shared-array-copied',
    'return { first: skus[0] };',
    'return skus.filter(() => true).length;',
  ],
  [
    'a run failed from the summary',
    'summary-fails',
    'return { stdout:',
    "if (data === null) throw new Error('no');\n  return { stdout:",
  ],
  [
    'a test aborted from the summary',
    'summary-fails',
    'return { stdout:',
    "if (data === null) exec.test.abort('no');\n  return { stdout:",
  ],
  [
    'a module from elsewhere',
    'foreign-import',
    "import { check } from 'k6';",
    "import { check } from 'k6';\nimport 'https://jslib.k6.io/k6-utils/1.4.0/index.js';",
  ],
  [
    'an import without its ending',
    'import-path',
    "import { check } from 'k6';",
    "import { check } from 'k6';\nimport './other';",
  ],
  [
    'an executor that k6 2 lost',
    'removed-in-v2',
    "executor: 'ramping-arrival-rate',",
    "executor: 'ramping-arrival-rate', exec: 'default', tags: { was: 'externally-controlled' },",
  ],
  [
    'a script that throws while it is loaded',
    'does-not-load',
    'export const options',
    "if (skus.length > 0) throw new Error('no');\nexport const options",
  ],
  [
    'a wait that the host cannot follow',
    'does-not-load',
    "bought.add(1, { sku: 'a' });",
    "[1].forEach(() => http.get('http://127.0.0.1:1/'));",
  ],
];

function lint(name, text) {
  const file = path.join(directory, `${name.replace(/\W+/g, '-')}.ts`);
  writeFileSync(file, text);
  return lintScript(file, ['laptop']);
}

test('a good script has no findings', () => {
  assert.deepEqual(lint('good', GOOD), []);
});

for (const [trap, rule, from, to, others = 0] of TRAPS) {
  test(`found: ${trap}`, () => {
    const text = GOOD.replace(from, to);
    assert.notEqual(text, GOOD, 'the trap was not put in');
    const rules = lint(trap, text).map((finding) => finding.rule);
    assert.ok(rules.includes(rule), `found only ${rules.join(', ') || 'nothing'}`);
    const beside = rules.filter((found) => found !== rule);
    assert.ok(beside.length <= others, `also found ${beside.join(', ')}`);
  });
}

test('what k6 2 lost is found in texts', () => {
  const findings = lintText('README.md', 'k6 run --no-summary x.ts\nfine\nK6_OTEL_EXPORTER_TYPE=grpc k6 run x.ts\n');
  assert.deepEqual(
    findings.map(({ rule, line }) => [rule, line]),
    [
      ['removed-in-v2', 1],
      ['removed-in-v2', 3],
    ],
  );
});

test('every rule has a trap', () => {
  const sources = ['source.mjs', 'options.mjs', 'lint.mjs'].map((name) =>
    readFileSync(path.join(HERE, '../lint', name), 'utf8'),
  );
  const rules = new Set(sources.join('\n').match(/(?<=say\((?:node, )?'|rule: ')[a-z][a-z0-9-]+(?=')/g));
  // These are about scenarios.json and files beside the entry: tested with the load tests themselves below.
  for (const elsewhere of ['script-missing', 'invariant-missing', 'open-elsewhere'])
    assert.ok(rules.delete(elsewhere), elsewhere);
  const tried = new Set(TRAPS.map(([, rule]) => rule));
  assert.deepEqual(
    [...rules].filter((rule) => !tried.has(rule)),
    [],
  );
});

test('the load tests have no findings', () => {
  const { scripts, findings } = lintAll();
  assert.equal(scripts.length, 8);
  assert.deepEqual(findings, []);
});

test('a scenario without a line for an invariant is found, and open() away from the entry', () => {
  const scenarios = { buyers: { invariants: ['oversell', 'undersell'] } };
  writeFileSync(path.join(directory, 'scenarios.json'), JSON.stringify({ scenarios }));
  writeFileSync(path.join(directory, 'other.ts'), "export const text = typeof open === 'string' ? open('./a') : '';\n");
  const file = path.join(directory, 'buyers.ts');
  writeFileSync(
    file,
    GOOD.replace(
      "import { check } from 'k6';",
      "import { check } from 'k6';\nimport { text } from './other.ts';",
    ).replace('typeof exec', 'text'),
  );
  const found = lintScript(file, ['laptop']);
  rmSync(path.join(directory, 'scenarios.json'));
  assert.deepEqual(found.map(({ rule }) => rule).sort(), ['invariant-missing', 'invariant-missing', 'open-elsewhere']);
});

test('the packages are permissive, and k6 is none of them', () => {
  const { packages } = JSON.parse(readFileSync(path.join(HERE, '../package-lock.json'), 'utf8'));
  const found = Object.entries(packages)
    .filter(([name]) => name !== '')
    .map(([name, { license }]) => [name, license]);
  assert.ok(found.length > 0);
  for (const [name, license] of found)
    assert.ok(['0BSD', 'Apache-2.0', 'BSD-3-Clause', 'ISC', 'MIT'].includes(license), `${name}: ${license}`);
  assert.ok(!found.some(([name]) => name === 'node_modules/k6'));
});
