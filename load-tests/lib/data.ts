/**
 * What a run brings with it: its own SKUs with their stock, and what each arrival wants. An arrival's wishes follow
 * from its number alone, so that the demand for each SKU is known afterwards without a shared memory.
 */
import { SharedArray } from 'k6/data';
import http from 'k6/http';
import { BASE, asSeller, expect, json, readAudit } from './client.ts';
import { arrivalsPlanned, peakRate, unitsOf, type Plan, type Way } from './plan.ts';

/** What `setup` hands to everybody: k6 copies it, so it is small. */
export interface Stock {
  /** Names the run; its SKUs are "<run>-<n>". */
  run: string;
  /** When the run began, by the server's clock. */
  from: string;
  /** Events of all SKUs of the run when they were ready. */
  versions: number;
  /** There is a unit for every buyer who may come: nobody may be refused. */
  plenty: boolean;
  /** What the server's audit had found before the run: others may use the same server. */
  before: { violated: number; oversold: number; evaluated: number; surplus: number };
}

/** A SKU's stock as the server tells it. */
export interface Availability {
  sku: string;
  available: number;
  on_hand: number;
  held: number;
  allocated: number;
  safety_stock: number;
  version: number;
  observed_at: string;
}

/** What an arrival is about. */
export interface Wish {
  /** Index of the SKU. */
  sku: number;
  way: Way;
  /** Send it once more with another body? */
  otherBody: boolean;
}

/** Requests at once during set-up and in teardown. */
const AT_ONCE = 40;

/** The sums of popularity over the SKUs, one copy for all virtual users. */
export function popularity(plan: Plan): readonly number[] {
  const { skus, zipf } = plan.stock;
  return new SharedArray(`popularity of ${skus} SKUs at ${zipf}`, () => {
    const sums: number[] = [];
    let sum = 0;
    for (let rank = 1; rank <= skus; rank++) {
      sum += Math.pow(rank, -zipf);
      sums.push(sum);
    }
    return sums.map((part) => part / sum);
  });
}

/** Makes the run's SKUs and receives their units. */
export function fill(plan: Plan, sums: readonly number[]): Stock {
  const audit = readAudit();
  const run = `lt-${plan.name}-${Date.now().toString(36)}-${letters(4)}`.toLowerCase();
  for (let first = 0; first < plan.stock.skus; first += AT_ONCE) {
    const some = range(first, Math.min(first + AT_ONCE, plan.stock.skus));
    const listed = http.batch(
      some.map((sku) => ({
        method: 'PUT',
        url: `${BASE}/v1/skus/${skuName(run, sku)}`,
        body: JSON.stringify({ seller: `seller-${sku % 7}`, price: { amount: 1999, currency: 'EUR' } }),
        params: asSeller(),
      })),
    );
    for (const answer of listed) expect(answer, 201, 'a SKU could not be listed');
    const stocked = some.filter((sku) => unitsOf(plan, sku) > 0);
    const received = http.batch(
      stocked.map((sku) => ({
        method: 'POST',
        url: `${BASE}/v1/skus/${skuName(run, sku)}/receipts`,
        body: JSON.stringify({ location: 'hall-1', units: unitsOf(plan, sku) }),
        params: asSeller(`${run}-receipt-${sku}`),
      })),
    );
    for (const answer of received) expect(answer, 201, 'units could not be received');
  }
  const stock = readStock(plan, run);
  const from = stock[0]?.observed_at;
  if (from === undefined) throw new Error('the run has no SKU');
  const most = demand(plan, sums, arrivalsPlanned(plan.arrivals).most);
  const { violated, oversold, evaluated } = audit;
  return {
    run,
    from: startOf(from),
    versions: stock.reduce((sum, sku) => sum + sku.version, 0),
    plenty: most.every((wanted, sku) => wanted <= unitsOf(plan, sku)),
    before: { violated, oversold, evaluated, surplus: audit.charges - audit.captured_orders },
  };
}

/** Stock of every SKU of the run. */
export function readStock(plan: Plan, run: string): Availability[] {
  const all: Availability[] = [];
  for (let first = 0; first < plan.stock.skus; first += AT_ONCE) {
    const some = range(first, Math.min(first + AT_ONCE, plan.stock.skus));
    const answers = http.batch(
      some.map((sku) => ({
        method: 'GET',
        url: `${BASE}/v1/skus/${skuName(run, sku)}/availability`,
        params: { tags: { name: 'availability' } },
      })),
    );
    for (const answer of answers) {
      expect(answer, 200, 'stock could not be read');
      all.push(json<Availability>(answer));
    }
  }
  return all;
}

/** The SKU's code. */
export function skuName(run: string, sku: number): string {
  return `${run}-${sku}`;
}

/** What the arrival with this number wants. */
export function wishOf(plan: Plan, sums: readonly number[], arrival: number): Wish {
  return {
    sku: skuOf(plan, sums, arrival),
    way: plan.arrivals.kind === 'iterations' ? inTurn(plan, arrival) : wayOf(plan, arrival),
    otherBody: roll(arrival, 3) < plan.repeat.otherBody,
  };
}

/** How many of the first `arrivals` want each SKU. */
export function demand(plan: Plan, sums: readonly number[], arrivals: number): number[] {
  const wanted = new Array<number>(plan.stock.skus).fill(0);
  // A shared array parses each element when it is read: one copy, for a few million look-ups.
  const local = Array.from(sums);
  for (let arrival = 0; arrival < arrivals; arrival++) {
    const sku = skuOf(plan, local, arrival);
    wanted[sku] = (wanted[sku] ?? 0) + 1;
  }
  return wanted;
}

/**
 * Virtual users to allocate: rate × slowest bearable answer × 1.5, as nobody is allocated during the run; and at least
 * `USERS`, for machines that stall now and then.
 */
export function usersNeeded(plan: Plan): number {
  const requests = plan.buyer.cart > 0 ? 3 : plan.buyer.hold > 0 ? 2 : 1;
  const bearable = Math.max(plan.slo.acceptedP99Ms ?? 0, plan.slo.refusedP99Ms ?? 0, 100);
  const needed = Math.ceil(((peakRate(plan.arrivals) * bearable) / 1000) * 1.5 * requests);
  return Math.max(Number(__ENV.USERS || 100), needed);
}

/** Do users open their connections before the first arrival? Where they come one after the other, nobody waits. */
export function isWarmed(plan: Plan): boolean {
  return plan.arrivals.kind !== 'iterations';
}

/** Opens a user's connection. */
export function warmUp(stock: Stock): void {
  const answer = http.get(`${BASE}/v1/skus/${skuName(stock.run, 0)}/availability`, { tags: { name: 'availability' } });
  expect(answer, 200, 'stock could not be read');
}

/** A name for a hold: `hld_` and 26 characters of Crockford's base 32, the first of which has three bits. */
export function holdName(): string {
  const digits = '0123456789abcdefghjkmnpqrstvwxyz';
  let name = digits.charAt(Math.floor(Math.random() * 8));
  for (let index = 1; index < 26; index++) name += digits.charAt(Math.floor(Math.random() * 32));
  return `hld_${name}`;
}

/** A number that stands for an order in the common ledger: 1 to 2³¹. */
export function weight(order: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < order.length; index++) {
    hash = Math.imul(hash ^ order.charCodeAt(index), 0x01000193);
  }
  return (hash >>> 1) + 1;
}

/** A number in [0, 1) that belongs to this arrival and purpose. */
export function roll(arrival: number, purpose: number): number {
  let bits = (arrival + Math.imul(purpose, 0x9e3779b9)) | 0;
  bits = Math.imul(bits ^ (bits >>> 16), 0x21f0aaad);
  bits = Math.imul(bits ^ (bits >>> 15), 0x735a2d97);
  return ((bits ^ (bits >>> 15)) >>> 0) / 4294967296;
}

function skuOf(plan: Plan, sums: readonly number[], arrival: number): number {
  const point = roll(arrival, 1);
  if (plan.stock.zipf === 0) return Math.floor(point * plan.stock.skus);
  let [low, high] = [0, plan.stock.skus - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sums[middle] ?? 1) < point) low = middle + 1;
    else high = middle;
  }
  return low;
}

function wayOf(plan: Plan, arrival: number): Way {
  const { express, cart, hold } = plan.buyer;
  const point = roll(arrival, 2) * (express + cart + hold);
  if (point < express) return 'express';
  return point < express + cart ? 'cart' : 'hold';
}

/** With few iterations chance would leave a way out. */
function inTurn(plan: Plan, arrival: number): Way {
  const ways = (['express', 'cart', 'hold'] as const).filter((way) => plan.buyer[way] > 0);
  return ways[arrival % ways.length] ?? 'express';
}

/** A little earlier, as the first order may be placed in the same microsecond. */
function startOf(time: string): string {
  return new Date(Date.parse(time) - 1000).toISOString();
}

function letters(count: number): string {
  let text = '';
  for (let index = 0; index < count; index++) text += Math.floor(Math.random() * 36).toString(36);
  return text;
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, index) => from + index);
}
