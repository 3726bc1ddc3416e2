/**
 * The invariants. While the run goes on, some arrivals look at the books as they pass; at its end `teardown` waits until
 * all orders have settled, lets refused buyers come back, and compares three accounts of the run's own SKUs: what
 * buyers were told, what the stock counters say, and what the orders say. Others may use the same server.
 */
import { check, sleep } from 'k6';
import exec from 'k6/execution';
import http from 'k6/http';
import { BASE, asSeller, expect, field, json, readAudit, send, type Audit } from './client.ts';
import { demand, isWarmed, readStock, skuName, usersNeeded, weight, type Availability, type Stock } from './data.ts';
import {
  errors,
  evaluated,
  ledgerDifference,
  ordersInLedger,
  ordersPlaced,
  refused,
  unanswered,
  violations,
} from './metrics.ts';
import { arrivalsPlanned, peakRate, unitsOf, type Arrivals, type Invariant, type Plan } from './plan.ts';
import { express } from './requests.ts';

/** Invariants that are judged once, at the end. The others are judged with each answer. */
export const AT_END: readonly Invariant[] = ['oversell', 'undersell', 'conservation', 'double_charge', 'lost_order'];

/** The books are looked at about so often during a run, in seconds. */
const LOOK_EVERY = 2;
/** Orders must have settled so long after the last arrival, in seconds. */
const SETTLE = 120;
/** Orders whose money is still on its way. */
const UNSETTLED = ['awaiting_payment', 'authorised', 'allocated'];
/** Orders whose units are sold. */
const SOLD = ['captured', 'fulfilment_requested', 'partly_shipped', 'fulfilled'];

interface Order {
  order: string;
  state: string;
  total: { amount: number };
  captured: { amount: number };
  lines: { sku: string; units: number }[];
  payments: { state: string }[];
}

/** What the orders of the run say. */
interface Ledger {
  orders: number;
  sold: Record<string, number>;
  /** Orders that were not paid exactly once and in full. */
  wronglyCharged: string[];
  /** Orders that ended without a sale. */
  failed: number;
}

interface Books {
  stock: Availability[];
  ledger: Ledger;
  audit: Audit;
  /** Units wanted of each SKU by all buyers who came. */
  wanted: number[];
}

/** One arrival in so many looks at the books. */
export function lookEvery(arrivals: Arrivals): number {
  return Math.max(1, Math.round(peakRate(arrivals) * LOOK_EVERY));
}

/** Looks at the books, if it is this arrival's turn. */
export function probe(plan: Plan, stock: Stock, arrival: number): void {
  const every = lookEvery(plan.arrivals);
  if (arrival % every !== 0) return;
  const audit = readAudit();
  const sku = (arrival / every) % plan.stock.skus;
  const seen = http.get(`${BASE}/v1/skus/${skuName(stock.run, sku)}/availability`, { tags: { name: 'availability' } });
  expect(seen, 200, 'stock could not be read');
  const wrong = [...unbalanced(audit, stock), ...uneven(json<Availability>(seen), unitsOf(plan, sku))];
  evaluated.add(1, { invariant: 'conservation', when: 'run' });
  violations.add(wrong.length === 0 ? 0 : 1, { invariant: 'conservation' });
  if (wrong.length > 0) console.error(`conservation: ${wrong.join('; ')}`);
}

/** The end of a run: settles, drains, and judges. */
export function judgeRun(plan: Plan, sums: readonly number[], stock: Stock): void {
  settle(stock);
  const wanted = demand(plan, sums, arrivalsSeen(plan));
  if (plan.drain && drain(plan, stock, wanted) > 0) settle(stock);
  const books: Books = { stock: readStock(plan, stock.run), ledger: readLedger(stock), audit: readAudit(), wanted };
  ordersInLedger.add(books.ledger.orders);

  const found: Record<string, string[]> = {
    oversell: oversold(plan, stock, books),
    undersell: undersold(plan, books),
    conservation: unconserved(plan, stock, books),
    double_charge: wronglyCharged(stock, books),
    // The other half of this one is `ledger_difference`, which only the generator can add up.
    lost_order: books.ledger.failed > 0 ? [`${books.ledger.failed} orders ended without a sale`] : [],
  };
  for (const invariant of plan.invariants) {
    if (invariant === 'evaluated') continue;
    // A sample of zero, so that the threshold is never judged on nothing.
    const wrong = found[invariant] ?? [];
    violations.add(wrong.length === 0 ? 0 : 1, { invariant });
    if (AT_END.includes(invariant)) evaluated.add(1, { invariant, when: 'end' });
    for (const line of wrong.slice(0, 10)) console.error(`${invariant}: ${line}`);
    if (wrong.length > 10) console.error(`${invariant}: and ${wrong.length - 10} more`);
  }
  for (const counter of [ordersPlaced, errors, unanswered, ledgerDifference]) counter.add(0);
  for (const code of ['sold_out', 'other']) refused.add(0, { code });
  if (plan.sold === 'none') {
    const versions = books.stock.reduce((sum, sku) => sum + sku.version, 0);
    check(versions, { 'refusals wrote nothing': () => versions === stock.versions });
  }
}

/** Waits until no order of the run is under way. */
function settle(stock: Stock): void {
  for (let waited = 0; waited < SETTLE; waited += 0.5) {
    let open = false;
    for (const state of UNSETTLED) open = open || anyOpen(stock, state);
    if (!open) return;
    sleep(0.5);
  }
  console.error(`orders had not settled ${SETTLE} s after the last arrival`);
}

function anyOpen(stock: Stock, state: string): boolean {
  let after = '';
  do {
    const page = readOrders(stock, `&state=${state}`, after);
    if (page.data.some((order) => isOurs(stock, order))) return true;
    after = page.has_more ? page.next : '';
  } while (after !== '');
  return false;
}

/** Refused buyers come back for what is left, as long as any of them want it. How many bought. */
function drain(plan: Plan, stock: Stock, wanted: number[]): number {
  let bought = 0;
  for (const [sku, seen] of readStock(plan, stock.run).entries()) {
    const sold = seen.allocated + unitsOf(plan, sku) - seen.on_hand;
    const back = Math.min(seen.available, (wanted[sku] ?? 0) - sold);
    for (let buyer = 0; buyer < back; buyer++) {
      // Nobody of the run has a number like this: it is another intent.
      const again = express(stock, { sku, way: 'express', otherBody: false }, 1e9 + sku * 1e5 + buyer);
      const [answer] = send(again, 1);
      if (answer?.status !== 201) break;
      bought += 1;
      ordersPlaced.add(1);
      ledgerDifference.add(weight(String(field(answer.body, 'order'))));
    }
  }
  if (bought > 0) console.log(`${bought} buyers came back and bought what was left`);
  return bought;
}

function readLedger(stock: Stock): Ledger {
  const ledger: Ledger = { orders: 0, sold: {}, wronglyCharged: [], failed: 0 };
  let after = '';
  do {
    const page = readOrders(stock, '', after);
    for (const order of page.data) if (isOurs(stock, order)) takeIn(ledger, order);
    after = page.has_more ? page.next : '';
  } while (after !== '');
  return ledger;
}

function takeIn(ledger: Ledger, order: Order): void {
  ledger.orders += 1;
  ledgerDifference.add(-weight(order.order));
  if (!SOLD.includes(order.state)) {
    ledger.failed += 1;
    return;
  }
  for (const line of order.lines) ledger.sold[line.sku] = (ledger.sold[line.sku] ?? 0) + line.units;
  const times = order.payments.filter((payment) => payment.state === 'captured').length;
  if (times !== 1 || order.captured.amount !== order.total.amount) {
    ledger.wronglyCharged.push(`${order.order} was charged ${times} times, ${order.captured.amount} in all`);
  }
}

function readOrders(stock: Stock, filter: string, after: string): { data: Order[]; has_more: boolean; next: string } {
  const cursor = after === '' ? '' : `&after=${encodeURIComponent(after)}`;
  const page = http.get(`${BASE}/v1/orders?limit=200&from=${stock.from}${filter}${cursor}`, asSeller());
  expect(page, 200, 'orders could not be read');
  return json(page);
}

function isOurs(stock: Stock, order: Order): boolean {
  return order.lines[0]?.sku.startsWith(`${stock.run}-`) === true;
}

/** How many buyers came. Numbers are given without a gap, and no arrival was dropped in a run that counts. */
function arrivalsSeen(plan: Plan): number {
  try {
    const users = isWarmed(plan) ? usersNeeded(plan) : 0;
    return exec.instance.iterationsCompleted + exec.instance.iterationsInterrupted - users;
  } catch {
    return arrivalsPlanned(plan.arrivals).least;
  }
}

function oversold(plan: Plan, stock: Stock, books: Books): string[] {
  const wrong: string[] = [];
  for (const [sku, seen] of books.stock.entries()) {
    const units = unitsOf(plan, sku);
    const byStock = seen.allocated + units - seen.on_hand;
    const byOrders = books.ledger.sold[seen.sku] ?? 0;
    const sold = Math.max(byStock + seen.held, byOrders);
    if (sold > units) wrong.push(`${seen.sku}: ${sold} sold of ${units}`);
  }
  const { oversold: now } = books.audit;
  if (now !== stock.before.oversold) wrong.push(`the audit counts ${now} units oversold`);
  return wrong;
}

function undersold(plan: Plan, books: Books): string[] {
  const wrong: string[] = [];
  for (const [sku, seen] of books.stock.entries()) {
    const units = unitsOf(plan, sku);
    const sold = books.ledger.sold[seen.sku] ?? 0;
    const due = Math.min(units, books.wanted[sku] ?? 0);
    if (sold < due) wrong.push(`${seen.sku}: ${sold} sold of ${units}, and ${books.wanted[sku]} were wanted`);
    if (plan.sold === 'none' && sold > 0) wrong.push(`${seen.sku}: ${sold} sold, and nothing was for sale`);
  }
  return wrong;
}

function unconserved(plan: Plan, stock: Stock, books: Books): string[] {
  const wrong = unbalanced(books.audit, stock);
  for (const [sku, seen] of books.stock.entries()) {
    wrong.push(...uneven(seen, unitsOf(plan, sku)));
    const byStock = seen.allocated + unitsOf(plan, sku) - seen.on_hand;
    const byOrders = books.ledger.sold[seen.sku] ?? 0;
    if (byStock !== byOrders) wrong.push(`${seen.sku}: ${byStock} sold by the stock, ${byOrders} by the orders`);
    if (seen.held !== 0) wrong.push(`${seen.sku}: ${seen.held} units are still held`);
  }
  return wrong;
}

/** A SKU's units must add up. */
function uneven(seen: Availability, units: number): string[] {
  const claimed = seen.held + seen.allocated;
  const good = seen.available + claimed + seen.safety_stock === seen.on_hand && seen.on_hand <= units;
  return good && seen.available >= 0 ? [] : [`${seen.sku}: ${JSON.stringify(seen)} of ${units} units`];
}

/** The sums over all SKUs of the server must add up, and its own rules must hold. */
function unbalanced(audit: Audit, stock: Stock): string[] {
  const wrong: string[] = [];
  const there = audit.available + audit.held + audit.sold + audit.written_off - audit.allocated_supply;
  // What came back may or may not be for sale again.
  if (there < 0 || there > audit.returned) wrong.push(`${there} units more than came in`);
  if (audit.available + audit.held + audit.allocated !== audit.on_hand) wrong.push('the units on hand do not add up');
  if (audit.violated !== stock.before.violated) wrong.push(`the audit found ${audit.violated} violations`);
  return wrong;
}

function wronglyCharged(stock: Stock, books: Books): string[] {
  const { charges, captured_orders, evaluated: rules } = books.audit;
  const wrong = [...books.ledger.wronglyCharged];
  if (charges - captured_orders !== stock.before.surplus) {
    wrong.push(`${charges} charges for ${captured_orders} paid orders`);
  }
  if (books.ledger.orders > 0 && rules <= stock.before.evaluated) wrong.push('the audit evaluated nothing meanwhile');
  return wrong;
}
