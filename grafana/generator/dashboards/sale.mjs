// What a sale looks like from outside: the war room, promises, the API, correctness, skew.
import { AVAILABILITY, FAST_SECONDS, LIMITS } from "../slo.mjs";
import { ADMITTED, FAILED } from "../rules.mjs";
import { grown, of, quantile, rate } from "../panels.mjs";

const BUDGET = Number((1 - AVAILABILITY).toPrecision(3));

const warRoom = {
  uid: "war-room",
  title: "war room",
  description: "One screen for the people who run the sale: is it selling, is it right, is it fast.",
  range: "now-30m",
  panels: [
    { title: "Units left", kind: "stat", unit: "short", w: 4, h: 5, queries: [[`sum(${of("stampede_units", 'state="available"')})`, "available"]], next: "correctness", description: "Units that can be bought now, over all SKUs, as of the store's last write (a fraction of a second). Falls to 0 in a sale that sells out." },
    { title: "Runway", kind: "stat", unit: "s", w: 4, h: 5, queries: [["max(stampede:stock_runway_seconds) or vector(0)", "until sold out"]], next: "correctness", description: "Until the stock is gone at the pace of the last minute. 0 when nothing moves." },
    { title: "Sell-through", kind: "gauge", unit: "percentunit", min: 0, max: 1, w: 4, h: 5, queries: [["stampede:sell_through_ratio", "sold"]], next: "correctness", description: "Units that are sold, of all that came in." },
    { title: "Oversold units", kind: "stat", unit: "short", bad: 1, w: 4, h: 5, queries: [[`sum(${of("stampede_oversold_units_total")})`, "oversold"]], alerts: ["StampedeOversold", "StampedeInvariantNotEvaluated"], next: "correctness", description: "Must be 0. It means something only while rules are checked: see the panel beside it." },
    { title: "Rules checked per second", kind: "stat", unit: "ops", w: 4, h: 5, queries: [[`sum(${rate("stampede_invariant_checks_total")})`, "checks"]], alerts: ["StampedeInvariantNotEvaluated"], next: "correctness", description: "How often the rules over the log were evaluated. Must not stand still while orders are placed." },
    { title: "Revenue in this view", kind: "stat", unit: "short", w: 4, h: 5, queries: [[`sum by (currency) (${grown("stampede_revenue_minor_units_total")}) / 100`, "{{currency}}"]], next: "workflows", description: "Money captured since the left edge, in units of the currency (of those with two decimals)." },
    { title: "Stock burn-down", kind: "timeseries", unit: "short", stacked: true, min: 0, w: 12, h: 8, queries: [[`sum by (state) (${of("stampede_units", 'state=~"available|held|allocated|shipped"')})`, "{{state}}"]], alerts: ["StampedeHoldsLeak", "StampedeNothingSells"], next: "correctness", description: "Units by state. They move from available over held to allocated and shipped; the sum stays." },
    { title: "Orders per second", kind: "timeseries", unit: "ops", min: 0, w: 12, h: 8, queries: [["stampede:orders_placed:rate20s", "placed"], [`sum(${rate("stampede_orders_total", 'outcome="paid"')})`, "paid"]], alerts: ["StampedeNothingSells"], next: "api", description: "Placed and paid. Paid follows placed by the provider's latency." },
    { title: "Purchases by outcome", kind: "timeseries", unit: "ops", stacked: true, min: 0, w: 12, h: 8, queries: [[`sum by (outcome) (${rate("stampede_checkout_requests_total")})`, "{{outcome}}"]], alerts: ["StampedeCheckoutSaleBudgetFast", "StampedeCheckoutSaleBudgetSlow"], next: "api", description: "Accepted until the stock is gone, then sold_out. error and shed_after_admission are our faults." },
    { title: "Purchase latency", kind: "timeseries", unit: "s", min: 0, bad: FAST_SECONDS, w: 12, h: 8, exemplars: true, queries: [0.5, 0.99, 0.999].map((q) => [quantile(q, "stampede_checkout_duration_seconds", 'stage="total"'), `p${q * 100}`]), alerts: ["StampedeCheckoutSlowInSale"], next: "api", description: "From the request to its answer. The promise: 99 % within 100 ms." },
    { title: "Payment success", kind: "timeseries", unit: "percentunit", min: 0, max: 1, least: LIMITS.payments, w: 8, h: 7, queries: [["stampede:payment_success_ratio:rate1m", "{{provider}}"]], alerts: ["StampedePaymentProviderDegraded"], next: "workflows", description: "Authorised, of all calls that were not declined for the buyer's reasons." },
    { title: "Oldest message by queue", kind: "bargauge", unit: "s", min: 0, warn: LIMITS.queueAge / 2, bad: LIMITS.queueAge, w: 8, h: 7, queries: [[`max by (queue) (${of("stampede_queue_oldest_message_age_seconds")})`, "{{queue}}"]], alerts: ["StampedeQueueNotDraining"], next: "workflows", description: "Age, not depth: a deep queue that drains is well." },
    { title: "This view's error budget left", kind: "gauge", unit: "percentunit", min: 0, max: 1, least: 0.25, w: 8, h: 7, queries: [[`clamp_min(1 - (sum(${grown("stampede_checkout_requests_total", FAILED)}) / (${BUDGET} * (sum(${grown("stampede_checkout_requests_total", ADMITTED)}) > 0))), 0)`, "left"]], alerts: ["StampedeCheckoutErrorBudgetBurn"], next: "slo", description: "Of the purchases since the left edge, 0.05 % may fail by our fault." },
  ],
};

const slo = {
  uid: "slo",
  title: "SLOs and error budgets",
  description: "The promises over minutes and days.",
  range: "now-6h",
  panels: [
    { title: "Availability", kind: "stat", unit: "percentunit", decimals: 3, least: AVAILABILITY, w: 8, queries: [["1 - stampede:checkout_error_ratio:rate1d", "1 day"]], alerts: ["StampedeCheckoutErrorBudgetBurn"], next: "api", description: "Of the purchases that were valid and let in, those that did not fail by our fault. Promise: 99.95 %." },
    { title: "Faster than 100 ms", kind: "stat", unit: "percentunit", decimals: 2, least: 0.99, w: 8, queries: [["1 - stampede:checkout_slow_ratio:rate1d", "1 day"]], alerts: ["StampedeCheckoutLatencyBudgetBurn"], next: "api", description: "Promise: 99 %." },
    { title: "Alerts firing", kind: "stat", unit: "short", warn: 1, w: 8, queries: [['count(ALERTS{alertstate="firing",alertname!="StampedeWatchdog"}) or vector(0)', "firing"]], next: "fleet", description: "Without the watchdog, which always fires." },
    { title: "Burn rate of errors", kind: "timeseries", unit: "short", min: 0, bad: 14.4, warn: 1, w: 12, h: 8, queries: ["5m", "30m", "1h", "6h"].map((window) => [`stampede:checkout_error_ratio:rate${window} / ${BUDGET}`, window]), alerts: ["StampedeCheckoutErrorBudgetBurn"], next: "api", description: "1 spends exactly the budget of 30 days in 30 days." },
    { title: "Burn rate of slowness", kind: "timeseries", unit: "short", min: 0, bad: 14.4, warn: 1, w: 12, h: 8, queries: ["5m", "30m", "1h", "6h"].map((window) => [`stampede:checkout_slow_ratio:rate${window} / 0.01`, window]), alerts: ["StampedeCheckoutLatencyBudgetBurn"], next: "api", description: "1 spends exactly the budget of 30 days in 30 days." },
    { title: "Time to settlement", kind: "timeseries", unit: "s", min: 0, bad: 60, w: 12, h: 8, queries: [0.5, 0.99].map((q) => [quantile(q, "stampede_workflow_duration_seconds", 'workflow="payment"'), `p${q * 100}`]), alerts: ["StampedeSettlementSlow"], next: "workflows", description: "From a payment step being asked for to its definite answer. Bounds are in whole seconds." },
    { title: "Firing alerts by name", kind: "timeseries", unit: "short", min: 0, w: 12, h: 8, queries: [['count by (alertname, severity) (ALERTS{alertstate="firing"})', "{{alertname}} ({{severity}})"]], next: "fleet", description: "The watchdog is always there." },
  ],
};

const api = {
  uid: "api",
  title: "API",
  description: "Rate, errors and duration by route, and what was refused.",
  panels: [
    { title: "Requests by route and status", kind: "timeseries", unit: "ops", min: 0, w: 12, h: 8, queries: [[`sum by (route, status_class) (${rate("stampede_http_requests_total")}) > 0`, "{{route}} {{status_class}}"]], alerts: ["StampedeCheckoutErrorBudgetBurn"], next: "actors", description: "409, 429 and 503 are counted apart: sold out, limited, shed." },
    { title: "Latency", kind: "heatmap", unit: "s", w: 12, h: 8, queries: [[`sum by (le) (${rate("stampede_http_request_duration_seconds_bucket")})`, "{{le}}"]], next: "actors", exemplars: true, description: "All routes together. A second band above the first is something that waits." },
    { title: "Where a purchase spends its time", kind: "timeseries", unit: "s", stacked: true, min: 0, w: 12, h: 8, queries: [[`sum by (stage) (${rate("stampede_checkout_duration_seconds_sum", 'stage!="total"')}) / ignoring(stage) group_left sum(${rate("stampede_checkout_duration_seconds_count", 'stage="total"')})`, "{{stage}}"]], alerts: ["StampedeCheckoutSlowInSale"], next: "storage", description: "Mean per purchase: waiting for admission, reserving units, being committed." },
    { title: "In flight by route", kind: "timeseries", unit: "short", min: 0, w: 12, h: 8, queries: [[`sum by (route) (${of("stampede_http_requests_in_flight")})`, "{{route}}"]], next: "actors", description: "Requests being served now." },
    { title: "Shed by reason", kind: "timeseries", unit: "ops", min: 0, queries: [[`sum by (reason) (${rate("stampede_http_requests_shed_total")})`, "{{reason}}"]], alerts: ["StampedeShedding", "StampedeStreamsRefused"], next: "actors", description: "Refused to protect the server. Some in the first second of a rush is as it should be." },
    { title: "Rate limits", kind: "timeseries", unit: "ops", min: 0, queries: [[`sum by (policy, decision) (${rate("stampede_rate_limit_decisions_total")})`, "{{policy}} {{decision}}"], [`sum(${rate("stampede_rate_limit_fallbacks_total")})`, "without Redis"]], alerts: ["StampedeLimitsUncounted"], next: "neighbours", description: "Decisions by limit. Denied requests are told when to come again." },
    { title: "Idempotency keys", kind: "timeseries", unit: "ops", min: 0, queries: [[`sum by (outcome) (${rate("stampede_idempotency_requests_total")})`, "{{outcome}}"]], alerts: ["StampedeIdempotencyMismatch"], next: "api", description: "replayed: a repeat that was answered as before. fingerprint_mismatch: one key for two different requests." },
    { title: "Live streams", kind: "timeseries", unit: "short", min: 0, queries: [[`sum(${of("stampede_http_streams")})`, "open"]], alerts: ["StampedeStreamsRefused"], next: "inventory", description: "Pages that are told of stock as it changes." },
  ],
};

const correctness = {
  uid: "correctness",
  title: "inventory and correctness",
  description: "The page that an auditor opens.",
  panels: [
    { title: "Oversold units", kind: "stat", unit: "short", bad: 1, w: 6, h: 5, queries: [[`sum(${of("stampede_oversold_units_total")})`, "oversold"]], alerts: ["StampedeOversold"], next: "war-room", description: "Claimed beyond what is on hand. Must be 0." },
    { title: "Violations", kind: "stat", unit: "short", bad: 1, w: 6, h: 5, queries: [[`sum(${of("stampede_invariant_violations_total")})`, "violations"]], alerts: ["StampedeInvariantViolated"], next: "war-room", description: "Of rules over the log, since it began. Must be 0." },
    { title: "Charges that fit no order", kind: "stat", unit: "short", bad: 1, w: 6, h: 5, queries: [[`max(abs(${of("stampede_ledger_discrepancy_charges")}))`, "difference"]], alerts: ["StampedeLedgerDiscrepancy"], next: "workflows", description: "Orders whose money was taken, less charges. May differ for a moment while answers are under way." },
    { title: "Orders for a person", kind: "stat", unit: "short", warn: 1, w: 6, h: 5, queries: [[`sum(${grown("stampede_orders_attention_total")})`, "in this view"]], alerts: ["StampedeOrdersNeedAttention"], next: "workflows", description: "Orders that somebody was asked to look at, since the left edge." },
    { title: "Conservation", kind: "timeseries", unit: "short", bad: 1, w: 12, h: 8, queries: [[`sum(${of("stampede_units", 'state="supplied"')}) - sum(${of("stampede_units", 'state=~"available|held|allocated|shipped"')})`, "supplied less all others"]], alerts: ["StampedeInvariantViolated"], next: "war-room", description: "Every unit that came in is available, held, allocated or shipped: a flat line at 0, or at the units that are kept back as safety stock." },
    { title: "Rules checked", kind: "timeseries", unit: "ops", min: 0, w: 12, h: 8, queries: [[`sum by (invariant) (${rate("stampede_invariant_checks_total")})`, "{{invariant}}"]], alerts: ["StampedeInvariantNotEvaluated", "StampedeInvariantMetricAbsent"], next: "storage", description: "Looks at entities and sums, by rule. That a rule has no violations means nothing while it is not looked at." },
    { title: "Violations by rule", kind: "timeseries", unit: "short", min: 0, bad: 1, w: 12, h: 8, queries: [[`max by (invariant) (${of("stampede_invariant_violations_total")})`, "{{invariant}}"]], alerts: ["StampedeInvariantViolated"], next: "war-room", description: "Since the log began. GET /v1/audit names the first hundred." },
    { title: "Age of comparisons", kind: "timeseries", unit: "s", min: 0, bad: LIMITS.reconciled, w: 12, h: 8, queries: [[`time() - max by (pair) (${of("stampede_reconciliation_last_success_timestamp_seconds")})`, "{{pair}}"]], alerts: ["StampedeReconciliationStale", "StampedeLedgerDiscrepancy"], next: "storage", description: "How long ago two sums that must agree were last seen to. Seconds, while both agree and the store keeps up." },
    { title: "Holds by what became of them", kind: "timeseries", unit: "ops", min: 0, w: 12, h: 8, queries: [[`sum by (to) (${rate("stampede_hold_transitions_total")})`, "{{to}}"]], alerts: ["StampedeHoldsLeak"], next: "actors", description: "Each hold that begins ends once." },
    { title: "Life of holds", kind: "heatmap", unit: "s", w: 12, h: 8, queries: [[`sum by (le) (${rate("stampede_hold_duration_seconds_bucket")})`, "{{le}}"]], alerts: ["StampedeHoldsLeak"], next: "workflows", description: "How long holds lasted, whatever their end." },
    { title: "Orders by state", kind: "timeseries", unit: "short", stacked: true, min: 0, w: 12, h: 8, queries: [[`sum by (state) (${of("stampede_orders")})`, "{{state}}"]], alerts: ["StampedeOrdersNeedAttention"], next: "workflows", description: "All orders that there are." },
    { title: "What became of orders", kind: "timeseries", unit: "ops", min: 0, w: 12, h: 8, queries: [[`sum by (outcome) (${rate("stampede_orders_total")})`, "{{outcome}}"]], next: "workflows", description: "Counted when committed." },
  ],
};

const inventory = {
  uid: "inventory",
  title: "hot SKUs and shards",
  description: "How unevenly the rush is spread, without a label per SKU.",
  panels: [
    { title: "Share of the hottest SKUs", kind: "timeseries", unit: "percentunit", stacked: true, min: 0, max: 1, w: 12, h: 8, queries: [[`max by (rank) (${of("stampede_hot_sku_share_ratio")})`, "rank {{rank}}"]], alerts: ["StampedeHotShard"], next: "actors", description: "Of all holds of the last half minute. One SKU with everything is served as fast as many." },
    { title: "Shard skew", kind: "timeseries", unit: "short", min: 0, warn: LIMITS.skew, w: 12, h: 8, queries: [["stampede:shard_skew_ratio", "busiest ÷ mean"]], alerts: ["StampedeHotShard"], next: "actors", description: "The busiest shard's requests against the mean." },
    { title: "Requests by shard", kind: "timeseries", unit: "ops", min: 0, w: 12, h: 8, queries: [[`sum by (shard) (${rate("stampede_shard_requests_total")})`, "{{shard}}"]], alerts: ["StampedeHotShard"], next: "actors", description: "Questions delivered to entities." },
    { title: "Permits in use by shard", kind: "timeseries", unit: "percentunit", min: 0, max: 1, bad: LIMITS.permits, w: 12, h: 8, queries: [["stampede:permit_fill_ratio:max", "{{shard}}"]], alerts: ["StampedePermitsSaturated"], next: "actors", description: "At 100 % buyers are told 503 at once." },
  ],
};

export default [warRoom, slo, api, correctness, inventory];
