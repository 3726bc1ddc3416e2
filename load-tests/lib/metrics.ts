/**
 * Everything that a run counts. k6 wants metrics made while a script loads, so they are all here.
 * Counters that must end at zero get a sample in `teardown`, so that their thresholds are never judged on nothing.
 */
import { Counter, Trend } from 'k6/metrics';

/** Orders acknowledged to buyers, each once. */
export const ordersPlaced = new Counter('orders_placed');
/** Purchase requests answered with 201, repeats included. */
export const accepted = new Counter('accepted');
/** How long those took, in milliseconds, all tries together. Tags: `heat` (hot, cold), `band` (see breakpoint). */
export const acceptedMs = new Trend('accepted_ms', true);
/** Buyers who were refused for good. Tag: `code` = sold_out or other. */
export const refused = new Counter('refused');
/** How long refusals took, in milliseconds, all tries together. */
export const refusedMs = new Trend('refused_ms', true);
/** Purchase requests refused for good, repeats included: the floor of `refused_ms`. */
export const refusals = new Counter('refusals');
/** Answers to arrivals that come when the server has had time to recover from a spike: the floor of `recovered_ms`. */
export const recovered = new Counter('recovered');
/** How long those took, in milliseconds, all tries together. */
export const recoveredMs = new Trend('recovered_ms', true);
/** Answers that nobody may get: unexpected status, no answer after all tries. */
export const errors = new Counter('errors');
/**
 * +1 when an arrival begins, -1 when its buyer has a definite answer: must end at 0.
 * k6 counts an iteration that throws as done, so nothing else would tell.
 */
export const unanswered = new Counter('unanswered');
/**
 * A number that stands for the order is added when it is acknowledged, and taken off when it is found in the server's
 * ledger: must end at 0. k6's virtual users share no memory, and this sum is their common ledger.
 */
export const ledgerDifference = new Counter('ledger_difference');
/** Orders of this run in the server's ledger. */
export const ordersInLedger = new Counter('orders_in_ledger');
/** Invariants evaluated. Tags: `invariant`; `when` = end or run. */
export const evaluated = new Counter('invariants_evaluated');
/** Invariants found broken. Tag: `invariant`. */
export const violations = new Counter('invariant_violations');
