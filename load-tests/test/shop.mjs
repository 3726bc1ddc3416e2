/**
 * A shop in memory that answers like the real one, as far as the load tests ask, and can be told to lie in one way.
 * It proves the tests, not the server.
 */
import http from 'node:http';

/** What the shop can be told to do wrong. */
export const FAULTS = [
  'oversells by one',
  'oversells by one and hides it in its counters',
  'undersells by one',
  'answers 200 to a refusal',
  'is busy without saying until when',
  'answers a repeat with other bytes',
  'takes another body under a used key',
  'forgets one order',
  'charges one order twice',
  'never captures one order',
  'loses a unit',
  'writes for refusals',
  'answers another order than the one placed',
  'hangs up',
  'is slow',
  'freezes',
  'stays slow after a rush',
];

const PROBLEM = { 'Content-Type': 'application/problem+json' };

/** Starts it on a free port; `{ url, close }`. */
export async function openShop(fault) {
  const shop = new Shop(fault);
  const server = http.createServer((request, response) => void shop.serve(request, response));
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const close = () => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  };
  return { url: `http://127.0.0.1:${server.address().port}`, close };
}

class Shop {
  skus = new Map();
  carts = new Map();
  /** By id, in the order of placing. */
  orders = new Map();
  /** Key → body as it was sent, and the order that it became. */
  keys = new Map();
  rules = 1;
  /** When the purchases of the last second came. */
  bought = [];
  rushed = false;
  /** The lie is told once. */
  told = false;

  constructor(fault) {
    this.fault = fault;
  }

  /** Is it the moment to do this, once? */
  once(fault) {
    if (this.fault !== fault || this.told) return false;
    this.told = true;
    return true;
  }

  /** Since a second in which fifty bought, has there been one in which far fewer did? */
  isAfterRush() {
    const now = Date.now();
    this.bought = this.bought.filter((moment) => now - moment < 1000).concat(now);
    this.rushed ||= this.bought.length >= 50;
    return this.rushed && this.bought.length < 25;
  }

  async serve(request, response) {
    let text = '';
    for await (const chunk of request) text += chunk;
    const body = text === '' ? undefined : JSON.parse(text);
    const { pathname, searchParams } = new URL(request.url, 'http://shop');
    const buying = request.method === 'POST' && /^\/v1\/(orders|carts\/.*)$/.test(pathname);
    if (buying && this.fault === 'stays slow after a rush' && this.isAfterRush()) {
      await new Promise((wake) => setTimeout(wake, 150));
    }
    if (buying && this.fault === 'is slow') await new Promise((wake) => setTimeout(wake, 150));
    if (buying && this.fault === 'freezes') await new Promise((wake) => setTimeout(wake, 3000));
    // In the middle of an answer: before it, a client takes the connection for one that had been idle for too long.
    if (buying && this.once('hangs up')) return request.socket.end('HTTP/1.1 201 Created\r\ncontent-length: 99\r\n\r\n{');
    if (buying && this.once('is busy without saying until when')) {
      return reply(response, 503, problem(503, 'overloaded'), PROBLEM);
    }
    const [status, answer, headers] = this.route(
      request.method,
      pathname,
      body,
      request.headers['idempotency-key'],
      searchParams,
    );
    reply(response, status, answer, headers);
  }

  route(method, path, body, key, query) {
    const parts = path.split('/').slice(2);
    switch (`${method} ${parts.map((part, index) => (index % 2 === 0 ? part : '*')).join('/')}`) {
      case 'PUT skus/*':
        this.skus.set(parts[1], { sku: parts[1], units: 0, held: new Map(), sold: 0, version: 1 });
        return [201, { availability: this.availability(parts[1]) }];
      case 'POST skus/*/receipts':
        this.skus.get(parts[1]).units += body.units;
        this.skus.get(parts[1]).version += 1;
        return [201, { units: body.units }];
      case 'GET skus/*/availability':
        return [200, this.availability(parts[1])];
      case 'PUT skus/*/holds/*':
        return this.hold(parts[1], parts[3]);
      case 'POST carts':
        this.carts.set(`crt_${key}`, { buyer: body.buyer, lines: [] });
        return [201, { cart: `crt_${key}` }];
      case 'PUT carts/*/lines/*':
        this.carts.get(decodeURIComponent(parts[1])).lines = [{ sku: parts[3], units: body.units }];
        return [200, { lines: [{ sku: parts[3], units: body.units }] }];
      case 'POST carts/*/checkout':
        return this.order(key, body, this.carts.get(decodeURIComponent(parts[1])));
      case 'POST orders':
        return this.order(key, body, body);
      case 'GET orders':
        return [200, this.list(query)];
      case 'GET audit':
        return [200, this.audit()];
      default:
        return [404, problem(404, 'unknown_route'), PROBLEM];
    }
  }

  hold(name, hold) {
    const sku = this.skus.get(name);
    if (this.left(sku) < 1) return this.refuse(sku);
    sku.held.set(hold, 1);
    sku.version += 1;
    return [201, { hold }];
  }

  order(key, sent, wanted) {
    const known = this.keys.get(key);
    const text = JSON.stringify(sent);
    if (known !== undefined && (known.text === text || this.fault === 'takes another body under a used key')) {
      const lie = this.once('answers a repeat with other bytes') ? { note: 'again' } : {};
      return [201, { ...known.answer, ...lie }, { 'Idempotency-Replayed': 'true' }];
    }
    if (known !== undefined) return [422, problem(422, 'idempotency_key_reused'), PROBLEM];
    const [{ sku: name, units, hold }] = wanted.lines;
    const sku = this.skus.get(name);
    const inHold = hold !== undefined && sku.held.delete(hold);
    const extra = !inHold && this.left(sku) < units;
    if (extra && !this.once('oversells by one') && !this.once('oversells by one and hides it in its counters'))
      return this.refuse(sku);
    if (!(extra && this.fault === 'oversells by one and hides it in its counters')) sku.sold += units;
    sku.version += 1;
    const id = `ord_${this.orders.size}_${this.keys.size}`;
    const answer = { order: id, buyer: wanted.buyer, lines: [{ sku: name, units }] };
    if (this.once('answers another order than the one placed')) answer.lines = [{ sku: name, units: units + 1 }];
    this.keys.set(key, { text, answer });
    if (!this.once('forgets one order')) this.orders.set(id, this.placed(id, name, units));
    if (this.once('loses a unit')) sku.units -= 1;
    return [201, answer];
  }

  placed(id, sku, units) {
    const twice = this.once('charges one order twice');
    const never = this.once('never captures one order');
    const payments = [{ state: 'captured' }, ...(twice ? [{ state: 'captured' }] : [])];
    return {
      order: id,
      state: never ? 'expired' : 'captured',
      total: { amount: 1999 },
      captured: { amount: never ? 0 : twice ? 3998 : 1999 },
      lines: [{ sku, units }],
      payments: never ? [] : payments,
    };
  }

  refuse(sku) {
    if (this.fault === 'writes for refusals') sku.version += 1;
    if (this.once('answers 200 to a refusal')) return [200, problem(409, 'sold_out')];
    return [409, problem(409, 'sold_out'), PROBLEM];
  }

  /** Units that a buyer could get. */
  left(sku) {
    return sku.units - sku.sold - sku.held.size - (this.fault === 'undersells by one' ? 1 : 0);
  }

  availability(name) {
    const { units, held, sold, version } = this.skus.get(name);
    const available = Math.max(0, units - sold - held.size);
    const observed_at = new Date().toISOString();
    return {
      sku: name,
      available,
      on_hand: units,
      held: held.size,
      allocated: sold,
      safety_stock: 0,
      version,
      observed_at,
    };
  }

  list(query) {
    const state = query.get('state');
    const [from, limit] = [Number(query.get('after') ?? 0), Number(query.get('limit'))];
    const all = [...this.orders.values()].filter((order) => state === null || order.state === state);
    const next = from + limit;
    return {
      data: all.slice(from, next),
      has_more: next < all.length,
      ...(next < all.length ? { next: String(next) } : {}),
    };
  }

  audit() {
    const sums = { units: 0, held: 0, sold: 0 };
    for (const { units, held, sold } of this.skus.values()) {
      sums.units += units;
      sums.held += held.size;
      sums.sold += sold;
    }
    const paid = [...this.orders.values()].filter(({ state }) => state === 'captured');
    const charges = paid.reduce((sum, order) => sum + order.payments.length, 0);
    this.rules += 1;
    return {
      verdict: 'ok',
      log_position: this.rules,
      allocated_supply: sums.units,
      on_hand: sums.units,
      available: sums.units - sums.held - sums.sold,
      held: sums.held,
      allocated: sums.sold,
      sold: sums.sold,
      shipped: 0,
      returned: 0,
      written_off: 0,
      oversold: 0,
      captured_orders: paid.length,
      charges,
      evaluated: this.rules,
      violated: 0,
    };
  }
}

function problem(status, code) {
  return { type: `https://stampede.example/problems/${code}`, title: code, status, code, detail: code };
}

function reply(response, status, body, headers = { 'Content-Type': 'application/json' }) {
  response.writeHead(status, { 'Content-Type': 'application/json', ...headers });
  response.end(JSON.stringify(body));
}
