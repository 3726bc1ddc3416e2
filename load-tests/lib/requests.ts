/** The requests that a buyer sends. Everything in them follows from the run and the arrival's number, so a repeat is the same. */
import type { Request } from './client.ts';
import { skuName, type Stock, type Wish } from './data.ts';

/** The buyer of this arrival. */
export function buyerName(stock: Stock, arrival: number): string {
  return `${stock.run}-b${arrival}`;
}

/** Everything in one request. */
export function express(stock: Stock, wish: Wish, arrival: number, hold?: string): Request {
  const line = { sku: skuName(stock.run, wish.sku), units: 1 };
  return {
    method: 'POST',
    path: '/v1/orders',
    route: 'orders',
    body: {
      buyer: buyerName(stock, arrival),
      payment_token: 'tok_ok',
      lines: [hold === undefined ? line : { ...line, hold }],
    },
    key: `${stock.run}-order-${arrival}`,
    gives: 'order',
  };
}

/** A hold on the wanted unit. */
export function claim(stock: Stock, wish: Wish, arrival: number, hold: string): Request {
  return {
    method: 'PUT',
    path: `/v1/skus/${skuName(stock.run, wish.sku)}/holds/${hold}`,
    route: 'holds',
    body: { units: 1, buyer: buyerName(stock, arrival) },
    gives: 'hold',
  };
}

/** An empty cart. */
export function openCart(stock: Stock, arrival: number, key: string): Request {
  return {
    method: 'POST',
    path: '/v1/carts',
    route: 'carts',
    body: { buyer: buyerName(stock, arrival) },
    key,
    gives: 'cart',
  };
}

/** The wanted unit, in the cart. */
export function setLine(stock: Stock, wish: Wish, cart: string): Request {
  return {
    method: 'PUT',
    path: `/v1/carts/${cart}/lines/${skuName(stock.run, wish.sku)}`,
    route: 'lines',
    body: { units: 1 },
    gives: 'lines',
  };
}

/** The order for the cart. */
export function checkOut(stock: Stock, arrival: number, cart: string): Request {
  return {
    method: 'POST',
    path: `/v1/carts/${cart}/checkout`,
    route: 'checkout',
    body: { payment_token: 'tok_ok' },
    key: `${stock.run}-checkout-${arrival}`,
    gives: 'order',
  };
}

/** The same key, and another order: to be refused with 422. */
export function withOtherBody(request: Request): Request {
  return { ...request, body: { ...(request.body as object), delivery: 'somewhere-else' } };
}
