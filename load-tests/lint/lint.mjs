#!/usr/bin/env node
/**
 * Looks for the traps of k6 in the load tests: in the text of the scripts, in their options as they are after loading,
 * at each profile, and in what is written about them. `node load-tests/lint/lint.mjs [SCRIPT.ts …]`; exits 1 on findings.
 */
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { compile, parse, visit } from '../host/compile.mjs';
import { load } from '../host/run.mjs';
import { lintOptions } from './options.mjs';
import { lintSource, lintText } from './source.mjs';

const HERE = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');

/** Findings in one script and all that it imports, at these profiles. */
export function lintScript(entry, profiles) {
  const at = path.resolve(entry);
  let files;
  try {
    files = parse(at);
  } catch (error) {
    // It cannot even be read: what its own text shows may say why.
    const source = ts.createSourceFile(at, readFileSync(at, 'utf8'), ts.ScriptTarget.ES2022, true);
    const findings = lintSource(source, true);
    return findings.length > 0 ? findings : [{ rule: 'does-not-load', file: at, what: error.message }];
  }
  const findings = [...files.values()].flatMap((file) => lintSource(file.source, file.path === at));
  const words = new Set();
  for (const { source } of files.values()) {
    visit(source, (node) => {
      if (ts.isStringLiteralLike(node)) words.add(node.text);
      else if (
        (ts.isPropertyAssignment(node) || ts.isShorthandPropertyAssignment(node)) &&
        !ts.isStringLiteralLike(node.name)
      ) {
        words.add(node.name.getText());
      }
    });
  }
  try {
    const compiled = compile(at);
    for (const profile of profiles) {
      const { host, first } = load(at, { PROFILE: profile }, compiled);
      findings.push(...lintOptions(host, first, words, invariantsOf(at)));
      first.end();
    }
  } catch (error) {
    findings.push({ rule: 'does-not-load', file: at, what: error.message });
  }
  return unique(findings);
}

function invariantsOf(entry) {
  const file = path.join(path.dirname(entry), 'scenarios.json');
  if (!existsSync(file)) return undefined;
  return JSON.parse(readFileSync(file, 'utf8')).scenarios[path.basename(entry, '.ts')]?.invariants;
}

function unique(findings) {
  const seen = new Set();
  return findings.filter((finding) => {
    const key = JSON.stringify(finding);
    return !seen.has(key) && seen.add(key);
  });
}

/** The load tests themselves: every scenario has its script, and every script is looked at. */
export function lintAll() {
  const { scenarios, profiles } = JSON.parse(readFileSync(path.join(HERE, 'scenarios.json'), 'utf8'));
  const scripts = readdirSync(HERE)
    .filter((name) => name.endsWith('.ts'))
    .map((name) => path.basename(name, '.ts'));
  const findings = Object.keys(scenarios)
    .filter((name) => !scripts.includes(name))
    .map((name) => ({
      rule: 'script-missing',
      file: path.join(HERE, 'scenarios.json'),
      what: `${name}.ts is missing`,
    }));
  for (const name of scripts) {
    const file = path.join(HERE, `${name}.ts`);
    if (!(name in scenarios)) findings.push({ rule: 'script-missing', file, what: 'it is not in scenarios.json' });
    findings.push(...lintScript(file, Object.keys(profiles)));
  }
  for (const name of ['README.md', 'package.json']) {
    findings.push(...lintText(path.join(HERE, name), readFileSync(path.join(HERE, name), 'utf8')));
  }
  return { scripts, findings: unique(findings) };
}

if (process.argv[1] !== undefined && path.resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const given = process.argv.slice(2);
  const { scripts, findings } =
    given.length > 0
      ? { scripts: given, findings: given.flatMap((script) => lintScript(script, ['laptop'])) }
      : lintAll();
  for (const { rule, file, line, what } of findings) {
    console.error(`${path.relative(process.cwd(), file)}${line === undefined ? '' : `:${line}`}: ${rule}: ${what}`);
  }
  console.error(`${scripts.length} scripts, ${findings.length} findings`);
  process.exit(findings.length > 0 ? 1 : 0);
}
