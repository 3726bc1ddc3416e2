/**
 * Makes the TypeScript of a k6 script run in Node.
 *
 * k6 scripts wait without saying so: `http.get()` comes back with the answer. In Node somebody has to say `await`. Two
 * ways were at hand: a thread for each virtual user that sleeps on a shared buffer, or writing the `await` into the
 * script while it is compiled. Hundreds of threads on a small machine would measure themselves, so it is the second:
 * functions that wait (they call `http`, `sleep`, or a function that waits) become `async`, and calls of them are
 * awaited. What cannot be followed by name alone is an error, never a silent promise.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import ts from 'typescript';

/** The modules of k6 that there are here. */
export const MODULES = ['k6', 'k6/http', 'k6/metrics', 'k6/execution', 'k6/data'];
/** Methods of `k6/http` that wait for an answer. */
const WAITING = new Set(['get', 'head', 'post', 'put', 'patch', 'del', 'options', 'request', 'asyncRequest', 'batch']);

/**
 * Compiles a script and all that it imports.
 *
 * @param {string} entry path of the script
 * @returns {Map<string, string>} CommonJS text by absolute path
 */
export function compile(entry) {
  const files = parse(path.resolve(entry));
  const waits = waitingFunctions(files);
  const compiled = new Map();
  for (const file of files.values()) compiled.set(file.path, translate(file, waits));
  return compiled;
}

/** Texts that were translated before. */
const translated = new Map();

function translate(file, waits) {
  const from = new Set([file.path, ...[...file.imports.values()].map((imported) => imported.from)]);
  const relevant = [...waits].filter((name) => from.has(name.slice(0, name.lastIndexOf('#')))).sort();
  const key = JSON.stringify([file.path, file.source.text, relevant]);
  if (!translated.has(key)) {
    const { outputText } = ts.transpileModule(file.source.text, {
      fileName: file.path,
      compilerOptions: {
        target: ts.ScriptTarget.ES2022,
        module: ts.ModuleKind.CommonJS,
        esModuleInterop: true,
        inlineSourceMap: true,
      },
      transformers: { before: [awaitCalls(file, waits)] },
    });
    translated.set(key, outputText);
  }
  return translated.get(key);
}

/** Reads a script and its relative imports; where each name of a file comes from. */
export function parse(entry) {
  const files = new Map();
  const toRead = [entry];
  while (toRead.length > 0) {
    const at = toRead.pop();
    if (files.has(at)) continue;
    const source = read(at);
    const file = { path: at, source, functions: new Map(), imports: new Map() };
    files.set(at, file);
    for (const statement of source.statements) {
      if (ts.isFunctionDeclaration(statement)) file.functions.set(statement.name?.text ?? 'default', statement);
      if (!ts.isImportDeclaration(statement)) continue;
      const from = statement.moduleSpecifier.text;
      if (statement.importClause?.isTypeOnly) continue;
      const target = from.startsWith('.') ? path.resolve(path.dirname(at), from) : from;
      if (from.startsWith('.')) toRead.push(target);
      else if (!MODULES.includes(from)) throw at_(statement, `the host has no module ${from}`);
      const { name, namedBindings } = statement.importClause ?? {};
      if (name) file.imports.set(name.text, { from: target, name: 'default' });
      if (namedBindings && ts.isNamespaceImport(namedBindings)) throw at_(statement, 'import names, not a namespace');
      for (const item of namedBindings?.elements ?? []) {
        if (item.isTypeOnly) continue;
        file.imports.set(item.name.text, { from: target, name: (item.propertyName ?? item.name).text });
      }
    }
  }
  return files;
}

/** Files that were read before: eight scripts share one library. */
const sources = new Map();

function read(at) {
  const text = readFileSync(at, 'utf8');
  if (sources.get(at)?.text !== text) sources.set(at, ts.createSourceFile(at, text, ts.ScriptTarget.ES2022, true));
  return sources.get(at);
}

/** The functions that wait, as "path#name": those that call what waits, and so on until there are no more. */
function waitingFunctions(files) {
  const waits = new Set();
  for (let before = -1; before !== waits.size;) {
    before = waits.size;
    for (const file of files.values()) {
      visit(file.source, (node) => {
        if (!ts.isCallExpression(node) || !isWaiting(node, file, waits)) return;
        const inside = enclosing(node);
        if (inside === undefined) throw at_(node, 'this waits, and a script must not wait while it is loaded');
        if (!ts.isFunctionDeclaration(inside) || inside.parent !== file.source) {
          throw at_(node, 'this waits inside a nested function: use a loop or a function of its own');
        }
        waits.add(`${file.path}#${inside.name?.text ?? 'default'}`);
      });
    }
  }
  for (const file of files.values()) refuseValues(file, waits);
  return waits;
}

/** Is this a call that waits? */
function isWaiting(call, file, waits) {
  const callee = call.expression;
  if (ts.isPropertyAccessExpression(callee) && ts.isIdentifier(callee.expression)) {
    return file.imports.get(callee.expression.text)?.from === 'k6/http' && WAITING.has(callee.name.text);
  }
  if (!ts.isIdentifier(callee)) return false;
  const imported = file.imports.get(callee.text);
  if (imported === undefined) return waits.has(`${file.path}#${callee.text}`);
  if (imported.from === 'k6') return imported.name === 'sleep';
  return waits.has(`${imported.from}#${imported.name}`);
}

/** A function that waits can only be called: as a value it could be called where nobody awaits it. */
function refuseValues(file, waits) {
  visit(file.source, (node) => {
    if (!ts.isIdentifier(node)) return;
    if (node.text === '__VU' || node.text === '__ITER') throw at_(node, 'use k6/execution instead');
    const { parent } = node;
    const imported = file.imports.get(node.text);
    const isHttp = imported?.from === 'k6/http' && imported.name === 'default';
    if (
      isHttp &&
      !ts.isImportClause(parent) &&
      !(ts.isPropertyAccessExpression(parent) && parent.expression === node)
    ) {
      throw at_(node, 'call the methods of http by name');
    }
    if (isHttp && ts.isPropertyAccessExpression(parent) && WAITING.has(parent.name.text)) {
      const { parent: call } = parent;
      if (!(ts.isCallExpression(call) && call.expression === parent))
        throw at_(node, 'this waits: it must be called here');
    }
    const asCallee = ts.isCallExpression(parent) && parent.expression === node;
    const declared = ts.isFunctionDeclaration(parent) || ts.isImportSpecifier(parent) || ts.isExportSpecifier(parent);
    const other =
      ts.isPropertyAccessExpression(parent) || ts.isPropertyAssignment(parent) || ts.isPropertySignature(parent);
    if (asCallee || declared || other) return;
    const target = imported ?? { from: file.path, name: node.text };
    const isSleep = target.from === 'k6' && target.name === 'sleep';
    const shadowed = imported === undefined && !file.functions.has(node.text);
    if (!shadowed && (isSleep || waits.has(`${target.from}#${target.name}`))) {
      throw at_(node, `${node.text} waits: it must be called here, not passed on`);
    }
  });
}

function awaitCalls(file, waits) {
  return (context) => (source) => {
    const change = (node) => {
      const changed = ts.visitEachChild(node, change, context);
      if (ts.isCallExpression(node) && isWaiting(node, file, waits)) {
        return ts.factory.createParenthesizedExpression(ts.factory.createAwaitExpression(changed));
      }
      if (ts.isFunctionDeclaration(node) && waits.has(`${file.path}#${node.name?.text ?? 'default'}`)) {
        const modifiers = [...(changed.modifiers ?? []), ts.factory.createModifier(ts.SyntaxKind.AsyncKeyword)];
        const { asteriskToken, name, typeParameters, parameters, type, body } = changed;
        return ts.factory.updateFunctionDeclaration(
          changed,
          modifiers,
          asteriskToken,
          name,
          typeParameters,
          parameters,
          type,
          body,
        );
      }
      return changed;
    };
    return ts.visitNode(source, change);
  };
}

/** Calls `look` with every node. */
export function visit(node, look) {
  look(node);
  ts.forEachChild(node, (child) => visit(child, look));
}

/** The nearest function around a node. */
export function enclosing(node) {
  let at = node.parent;
  while (at !== undefined && !ts.isFunctionLike(at)) at = at.parent;
  return at;
}

/** "file:line: what". */
export function at_(node, what) {
  const source = node.getSourceFile();
  const { line } = source.getLineAndCharacterOfPosition(node.getStart());
  return new Error(`${source.fileName}:${line + 1}: ${what}`);
}
