// Recording rules: what several alerts and panels read, computed once.
import { FAST_SECONDS } from "./slo.mjs";

const J = 'job="stampede"';
/** Purchases that could have succeeded: valid, not throttled, let in. */
export const ADMITTED = 'outcome!~"invalid|not_admitted|rate_limited"';
/** What spends budget: a fault, or somebody let in and then not answered. Sold out is an answer. */
export const FAILED = 'outcome=~"error|shed_after_admission"';

const errors = (window) => ({
  record: `stampede:checkout_error_ratio:rate${window}`,
  expr: `sum(rate(stampede_checkout_requests_total{${J},${FAILED}}[${window}])) / (sum(rate(stampede_checkout_requests_total{${J},${ADMITTED}}[${window}])) > 0)`,
});
const slow = (window) => ({
  record: `stampede:checkout_slow_ratio:rate${window}`,
  expr: `1 - sum(rate(stampede_checkout_duration_seconds_bucket{${J},stage="total",le="${FAST_SECONDS}"}[${window}])) / (sum(rate(stampede_checkout_duration_seconds_count{${J},stage="total"}[${window}])) > 0)`,
});

export const RECORDS = [
  {
    name: "stampede.sale.records",
    interval: "5s",
    rules: [
      ...["20s", "1m", "5m"].flatMap((window) => [errors(window), slow(window)]),
      { record: "stampede:checkout_requests:rate20s", expr: `sum(rate(stampede_checkout_requests_total{${J},${ADMITTED}}[20s]))` },
      { record: "stampede:checkout_requests:increase1m", expr: `sum(increase(stampede_checkout_requests_total{${J},${ADMITTED}}[1m]))` },
      { record: "stampede:orders_placed:rate20s", expr: `sum(rate(stampede_orders_total{${J},outcome="placed"}[20s]))` },
      {
        record: "stampede:payment_success_ratio:rate1m",
        expr: `sum by (provider) (rate(stampede_payment_attempts_total{${J},outcome="authorised"}[1m])) / (sum by (provider) (rate(stampede_payment_attempts_total{${J},outcome=~"authorised|error|timeout"}[1m])) > 0)`,
      },
      {
        record: "stampede:permit_fill_ratio:max",
        expr: `max by (shard) (stampede_shard_permits_in_use{${J}} / stampede_shard_permits_capacity{${J}})`,
      },
      {
        record: "stampede:sell_through_ratio",
        expr: `sum(stampede_units{${J},state=~"allocated|shipped"}) / (sum(stampede_units{${J},state="supplied"}) > 0)`,
      },
      {
        record: "stampede:stock_runway_seconds",
        expr: `sum(stampede_units{${J},state="available"}) / (sum(-deriv(stampede_units{${J},state="available"}[1m])) > 0)`,
      },
      {
        record: "stampede:shard_skew_ratio",
        expr: `max(sum by (shard) (rate(stampede_shard_requests_total{${J}}[1m]))) / (avg(sum by (shard) (rate(stampede_shard_requests_total{${J}}[1m]))) > 0)`,
      },
      {
        record: "stampede:store_error_ratio:rate1m",
        expr: `sum by (backend) (rate(stampede_store_operations_total{${J},outcome=~"failed|timed_out"}[1m])) / (sum by (backend) (rate(stampede_store_operations_total{${J},outcome!="skipped"}[1m])) > 0)`,
      },
      {
        record: "stampede:shed_ratio:rate1m",
        expr: `sum(rate(stampede_http_requests_shed_total{${J},reason=~"no_permit|busy|deadline"}[1m])) / (sum(rate(stampede_http_requests_total{${J}}[1m])) > 0)`,
      },
      {
        record: "stampede:journal_append_seconds:p99",
        expr: `histogram_quantile(0.99, sum by (le, backend) (rate(stampede_journal_append_duration_seconds_bucket{${J}}[1m])))`,
      },
    ],
  },
  {
    name: "stampede.steady.records",
    interval: "30s",
    rules: ["30m", "1h", "2h", "6h", "1d", "3d"].flatMap((window) => [errors(window), slow(window)]),
  },
];

/** Names of what is recorded. */
export const recorded = new Set(RECORDS.flatMap((group) => group.rules.map((rule) => rule.record)));
