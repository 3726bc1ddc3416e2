/**
 * What one arrival does: it buys one unit its own way, repeats itself as the scenario says, and writes down what it
 * was told.
 */
import { check } from 'k6';
import exec from 'k6/execution';
import { field, send, type Answer, type Request } from './client.ts';
import { holdName, skuName, weight, wishOf, type Stock, type Wish } from './data.ts';
import { probe } from './invariants.ts';
import {
  accepted,
  acceptedMs,
  errors,
  evaluated,
  ledgerDifference,
  ordersPlaced,
  recovered,
  recoveredMs,
  refusals,
  refused,
  refusedMs,
  unanswered,
  violations,
} from './metrics.ts';
import { bandOf, recoveredFrom, type Plan } from './plan.ts';
import { buyerName, checkOut, claim, express, openCart, setLine, withOtherBody } from './requests.ts';

/** One arrival. */
export function arrive(plan: Plan, sums: readonly number[], stock: Stock): void {
  const arrival = exec.scenario.iterationInTest;
  unanswered.add(1);
  const wish = wishOf(plan, sums, arrival);
  const answer = buy(plan, stock, wish, arrival);
  const sold = answer.status === 201;
  const definite = check(answer, {
    'each buyer gets an order or a refusal': () => sold || answer.status === 409,
    'the order is the one that was placed': () => !sold || matches(answer.body, stock, wish, arrival),
  });
  if (definite) {
    unanswered.add(-1);
  } else {
    errors.add(1);
    console.error(`arrival ${arrival}: ${answer.status} ${answer.body.slice(0, 300)}`);
  }
  if (sold) {
    ordersPlaced.add(1);
    ledgerDifference.add(weight(String(field(answer.body, 'order'))));
  } else if (definite) {
    const soldOut = answer.code === 'sold_out';
    refused.add(1, { code: soldOut ? 'sold_out' : 'other' });
    if (soldOut && stock.plenty) violations.add(1, { invariant: 'undersell' });
  }
  probe(plan, stock, arrival);
}

function buy(plan: Plan, stock: Stock, wish: Wish, arrival: number): Answer {
  switch (wish.way) {
    case 'express':
      return press(plan, express(stock, wish, arrival), wish, arrival);
    case 'hold': {
      const hold = holdName();
      const [held] = send(claim(stock, wish, arrival, hold), 1);
      if (held === undefined || held.status >= 300 || held.status === 0) return refusal(plan, held, arrival);
      return press(plan, express(stock, wish, arrival, hold), wish, arrival);
    }
    case 'cart': {
      const key = `${stock.run}-cart-${arrival}`;
      const [opened] = send(openCart(stock, arrival, key), 1);
      const cart = opened?.status === 201 ? field(opened.body, 'cart') : undefined;
      if (typeof cart !== 'string') return refusal(plan, opened, arrival);
      const [lined] = send(setLine(stock, wish, cart), 1);
      if (lined?.status !== 200) return refusal(plan, lined, arrival);
      return press(plan, checkOut(stock, arrival, cart), wish, arrival);
    }
  }
}

/** Sends the request that buys, as often as the scenario says; its answer. */
function press(plan: Plan, request: Request, wish: Wish, arrival: number): Answer {
  const answers = send(request, plan.repeat.same);
  for (const answer of answers) note(plan, answer, wish, arrival);
  const bought = answers.find((answer) => answer.status === 201);
  if (bought === undefined) return answers[0] ?? nothing();
  if (answers.length > 1) judgeRepeats(request, answers);
  if (wish.otherBody) {
    const [other] = send(withOtherBody(request), 1);
    judge(other?.status === 422 && other.code === 'idempotency_key_reused', () => {
      return `${request.path}: another body under a used key: ${other?.status} ${other?.body.slice(0, 300)}`;
    });
  }
  return bought;
}

/** One key, one answer: the same status and bytes, and all but one of them marked as repeats. */
function judgeRepeats(request: Request, answers: Answer[]): void {
  const [first] = answers;
  const same = answers.every((answer) => answer.status === first?.status && answer.body === first.body);
  const fresh = answers.filter((answer) => !answer.replayed).length;
  judge(same && fresh === 1, () => {
    const told = answers.map((answer) => `${answer.status} ${answer.replayed} ${answer.body.slice(0, 120)}`);
    return `${request.path}: ${fresh} of ${answers.length} answers are no repeats: ${told.join(' | ')}`;
  });
}

function judge(good: boolean, otherwise: () => string): void {
  evaluated.add(1, { invariant: 'idempotent_replay', when: 'run' });
  if (good) return;
  violations.add(1, { invariant: 'idempotent_replay' });
  console.error(otherwise());
}

/** Counts an answer to the request that buys. */
function note(plan: Plan, answer: Answer, wish: Wish, arrival: number): void {
  if (answer.status === 201) {
    accepted.add(1);
    acceptedMs.add(answer.ms, kindOf(plan, wish, arrival));
    noteRecovered(plan, answer, arrival);
  } else {
    refusal(plan, answer, arrival);
  }
}

function noteRecovered(plan: Plan, answer: Answer, arrival: number): void {
  const from = recoveredFrom(plan);
  if (from === null || arrival < from) return;
  recovered.add(1);
  recoveredMs.add(answer.ms);
}

function kindOf(plan: Plan, wish: Wish, arrival: number): Record<string, string> {
  if (plan.name === 'breakpoint') return { band: String(bandOf(plan, arrival)) };
  return plan.stock.zipf > 0 ? { heat: wish.sku === 0 ? 'hot' : 'cold' } : {};
}

/** Counts an answer that is no order. */
function refusal(plan: Plan, answer: Answer | undefined, arrival: number): Answer {
  if (answer?.status === 409) {
    refusals.add(1);
    refusedMs.add(answer.ms);
    noteRecovered(plan, answer, arrival);
  }
  return answer ?? nothing();
}

function nothing(): Answer {
  return { status: 0, code: '', body: '', replayed: false, ms: 0 };
}

function matches(body: string, stock: Stock, wish: Wish, arrival: number): boolean {
  const lines = field(body, 'lines') as { sku: string; units: number }[] | undefined;
  const [line] = lines ?? [];
  return (
    field(body, 'buyer') === buyerName(stock, arrival) &&
    lines?.length === 1 &&
    line?.sku === skuName(stock.run, wish.sku) &&
    line.units === 1
  );
}
