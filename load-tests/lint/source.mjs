/** Traps of k6 that can be seen in the text of a script. Each finding names its rule; `fixtures/` has one for each. */
import ts from 'typescript';
import { MODULES, enclosing, visit } from '../host/compile.mjs';

/** What k6 2 no longer has, wherever it is named. */
export const REMOVED = [
  'externally-controlled',
  'k6/experimental/redis',
  '--no-summary',
  '--summary-mode=legacy',
  'K6_OTEL_EXPORTER_TYPE',
  'k6 pause',
  'k6 resume',
  'k6 scale',
  'k6 status',
];

const METRIC_TYPES = ['Counter', 'Gauge', 'Rate', 'Trend'];

/** Findings in one file: `{ rule, line, what }`. `isEntry`: it is what `k6 run` is given. */
export function lintSource(source, isEntry) {
  const findings = [];
  const say = (node, rule, what) => {
    const { line } = source.getLineAndCharacterOfPosition(node.getStart(source));
    findings.push({ rule, file: source.fileName, line: line + 1, what });
  };
  const sharedArrays = new Set();
  visit(source, (node) => {
    if (ts.isVariableDeclaration(node) && makes(node.initializer, ['SharedArray']))
      sharedArrays.add(node.name.getText(source));
  });
  visit(source, (node) => {
    lintImport(node, say);
    lintState(node, source, say);
    lintOpen(node, isEntry, say);
    lintMetric(node, say);
    lintSharedArray(node, sharedArrays, say);
    lintSummary(node, say);
    if (ts.isStringLiteralLike(node)) {
      for (const gone of REMOVED) if (node.text.includes(gone)) say(node, 'removed-in-v2', `k6 2 has no ${gone}`);
    }
  });
  return findings;
}

/** Findings in a text for people or shells. */
export function lintText(file, text) {
  return text.split('\n').flatMap((line, index) => {
    const gone = REMOVED.filter((word) => line.includes(word));
    return gone.map((word) => ({ rule: 'removed-in-v2', file, line: index + 1, what: `k6 2 has no ${word}` }));
  });
}

function lintImport(node, say) {
  if (!ts.isImportDeclaration(node)) return;
  const from = node.moduleSpecifier.text;
  if (from.startsWith('.')) {
    if (!from.endsWith('.ts')) say(node, 'import-path', `k6 finds ${from} only with its ending, .ts`);
  } else if (!MODULES.includes(from) && !(node.importClause?.isTypeOnly && from.startsWith('k6/'))) {
    say(node, 'foreign-import', `${from} is neither ours nor one of ${MODULES.join(', ')}`);
  }
}

/** Virtual users share no memory: what one of them notes at the top of a file, no other sees. */
function lintState(node, source, say) {
  if (!ts.isVariableStatement(node) || node.parent !== source) return;
  if (!(node.declarationList.flags & ts.NodeFlags.Const)) {
    say(node, 'shared-state', 'each virtual user has its own copy of this: use a metric');
  }
}

function lintOpen(node, isEntry, say) {
  if (!ts.isCallExpression(node) || !ts.isIdentifier(node.expression) || node.expression.text !== 'open') return;
  if (enclosing(node) !== undefined) say(node, 'open-in-function', 'open() works only while the script is loaded');
  const [file] = node.arguments;
  if (!isEntry) say(node, 'open-elsewhere', 'open() counts its path from the entry script: call it there');
  if (file === undefined || !ts.isStringLiteral(file) || !file.text.startsWith('./')) {
    say(node, 'open-path', 'open() takes a plain path that begins with ./, so that it works from any directory');
  }
}

function lintMetric(node, say) {
  if (makes(node, METRIC_TYPES) && enclosing(node) !== undefined) {
    say(node, 'metric-in-function', 'metrics are made only while the script is loaded');
  }
  if (makes(node, ['SharedArray'])) {
    const inside = enclosing(node);
    const called = inside !== undefined && ts.isFunctionDeclaration(inside) ? inside.name?.text : undefined;
    if (inside !== undefined && ['setup', 'teardown', undefined].includes(called)) {
      say(node, 'metric-in-function', 'a SharedArray is made only while the script is loaded');
    }
  }
}

/** A SharedArray that is filtered, stringified or returned is copied whole into each virtual user. */
function lintSharedArray(node, names, say) {
  if (!ts.isIdentifier(node) || !names.has(node.text)) return;
  const { parent } = node;
  if (ts.isPropertyAccessExpression(parent) && ['filter', 'map', 'slice', 'concat'].includes(parent.name.text)) {
    say(node, 'shared-array-copied', `${parent.name.text} copies it: do that inside its constructor`);
  }
  if (ts.isCallExpression(parent) && parent.expression.getText().startsWith('JSON.stringify')) {
    say(node, 'shared-array-stringified', 'this copies it whole');
  }
  const inside = enclosing(node);
  const inSetup = inside !== undefined && ts.isFunctionDeclaration(inside) && inside.name?.text === 'setup';
  let at = node;
  while (at !== undefined && !ts.isReturnStatement(at) && at !== inside) at = at.parent;
  if (
    inSetup &&
    at !== undefined &&
    ts.isReturnStatement(at) &&
    !ts.isPropertyAccessExpression(parent) &&
    !ts.isElementAccessExpression(parent)
  ) {
    say(node, 'shared-array-returned', 'what setup returns is copied into each virtual user');
  }
}

/** Whatever handleSummary does, the exit code stays: only thresholds fail a run. */
function lintSummary(node, say) {
  if (!ts.isThrowStatement(node) && !(ts.isCallExpression(node) && node.expression.getText().endsWith('test.abort')))
    return;
  let inside = enclosing(node);
  while (inside !== undefined) {
    if (ts.isFunctionDeclaration(inside) && inside.name?.text === 'handleSummary') {
      say(node, 'summary-fails', 'a run cannot be failed from handleSummary: use a threshold');
    }
    inside = enclosing(inside);
  }
}

function makes(node, types) {
  return node !== undefined && ts.isNewExpression(node) && types.includes(node.expression.getText());
}
