/** The rate rises until the latency breaks: where that is, and that the truth holds beyond it. */
import { arrive } from './lib/buyer.ts';
import { fill, popularity, warmUp, type Stock } from './lib/data.ts';
import { judgeRun } from './lib/invariants.ts';
import { optionsOf } from './lib/options.ts';
import { readPlan } from './lib/plan.ts';
import { report } from './lib/summary.ts';

const plan = readPlan('breakpoint', open('./scenarios.json'));
const sums = popularity(plan);

export const options = optionsOf(plan);

export function setup(): Stock {
  return fill(plan, sums);
}

export function warm(stock: Stock): void {
  warmUp(stock);
}

export default function (stock: Stock): void {
  arrive(plan, sums, stock);
}

export function teardown(stock: Stock): void {
  judgeRun(plan, sums, stock);
}

export function handleSummary(data: unknown): Record<string, string> {
  return report(plan, data);
}
