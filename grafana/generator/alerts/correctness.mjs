// Truth: no budget, no rate. One violation pages.
import { LIMITS } from "../slo.mjs";

export default [
  {
    name: "StampedeOversold",
    lhs: "max(stampede_oversold_units_total{job=\"stampede\"})", op: ">", bound: 0,
    severity: "page", slo: "correctness", dashboard: "correctness",
    summary: "Units are claimed beyond what is on hand",
    description: "{{ $value }} unit(s) too many. This never happens while the code is right: pause the SKU and keep the log.",
    fires: { title: "at the first evaluation", every: "5s", series: { "stampede_oversold_units_total": "0x11 1x30" }, quiet: "55s", at: "60s", labels: {} },
    silent: [{ title: "none oversold", every: "5s", series: { "stampede_oversold_units_total": "0x60" }, at: "5m" }],
  },
  {
    name: "StampedeInvariantViolated",
    lhs: "max by (invariant) (stampede_invariant_violations_total{job=\"stampede\"})", op: ">", bound: 0,
    severity: "page", slo: "correctness", dashboard: "correctness",
    summary: "The rule {{ $labels.invariant }} over the log is violated",
    description: "{{ $value }} violation(s) of {{ $labels.invariant }} since the log began. GET /v1/audit names the first hundred.",
    fires: {
      title: "at the first violation, and names the rule", every: "5s",
      series: { 'stampede_invariant_violations_total{invariant="captured_once"}': "0x11 2x30", 'stampede_invariant_violations_total{invariant="oversell"}': "0x41" },
      quiet: "55s", at: "60s", labels: { invariant: "captured_once" },
    },
    silent: [{ title: "no violation", every: "5s", series: { 'stampede_invariant_violations_total{invariant="captured_once"}': "0x60" }, at: "5m" }],
  },
  {
    name: "StampedeInvariantNotEvaluated",
    lhs: "sum by (invariant) (increase(stampede_invariant_checks_total{job=\"stampede\"}[2m]))", op: "==", bound: 0,
    gate: "and on() (sum(increase(stampede_orders_total{job=\"stampede\",outcome=\"placed\"}[2m])) > 0)",
    for: "1m", severity: "page", slo: "correctness", dashboard: "correctness",
    summary: "Orders are placed, and {{ $labels.invariant }} is not checked",
    description: "The rule {{ $labels.invariant }} was not evaluated for 2m although orders were placed: that it has no violations means nothing now.",
    fires: {
      title: "checks of one rule stop while orders and other rules go on", every: "5s",
      series: {
        'stampede_invariant_checks_total{invariant="oversell"}': "0+5x12 60x68", 'stampede_invariant_checks_total{invariant="conservation"}': "0+5x80",
        'stampede_orders_total{outcome="placed"}': "0+5x80",
      },
      quiet: "3m30s", at: "4m30s", labels: { invariant: "oversell" },
    },
    silent: [
      { title: "checks go on", every: "5s", series: { 'stampede_invariant_checks_total{invariant="oversell"}': "0+5x80", 'stampede_orders_total{outcome="placed"}': "0+5x80" }, at: "6m" },
      { title: "a quiet shop", every: "5s", series: { 'stampede_invariant_checks_total{invariant="oversell"}': "60x80", 'stampede_orders_total{outcome="placed"}': "60x80" }, at: "6m" },
    ],
  },
  {
    name: "StampedeInvariantMetricAbsent",
    lhs: "absent(stampede_invariant_checks_total{job=\"stampede\"})", op: "==", bound: 1,
    gate: "and on() (count(up{job=\"stampede\"} == 1) > 0)",
    for: "2m", severity: "page", slo: "correctness", dashboard: "correctness",
    summary: "A server is up and does not say that it checks itself",
    description: "stampede_invariant_checks_total is not exported: another program, another version, or a scrape that drops it.",
    fires: { title: "a target without the metric", every: "15s", series: { 'up{instance="a"}': "1x40" }, quiet: "1m45s", at: "3m", labels: { job: "stampede" } },
    silent: [
      { title: "it is there", every: "15s", series: { 'up{instance="a"}': "1x40", 'stampede_invariant_checks_total{invariant="oversell"}': "0+1x40" }, at: "8m" },
      { title: "nobody is up, which others tell", every: "15s", series: { 'up{instance="a"}': "0x40" }, at: "8m" },
    ],
  },
  {
    name: "StampedeLedgerDiscrepancy",
    lhs: "max(abs(stampede_ledger_discrepancy_charges{job=\"stampede\"}))", op: ">", bound: 0,
    for: "30s", severity: "page", slo: "correctness", dashboard: "correctness",
    summary: "Orders whose money was taken and charges differ",
    description: "They differ by {{ $value }} for 30s: somebody paid twice, or an order counts as paid without a charge.",
    fires: { title: "a charge too many", every: "5s", series: { "stampede_ledger_discrepancy_charges": "0x11 -1x30" }, quiet: "85s", at: "100s", labels: {} },
    silent: [{ title: "as many charges as paid orders", every: "5s", series: { "stampede_ledger_discrepancy_charges": "0x60" }, at: "5m" }],
  },
  {
    name: "StampedeReconciliationStale",
    lhs: "time() - max by (pair) (stampede_reconciliation_last_success_timestamp_seconds{job=\"stampede\"})", op: ">", bound: LIMITS.reconciled,
    severity: "page", slo: "correctness", dashboard: "correctness",
    summary: "{{ $labels.pair }} have not been seen to agree for a while",
    description: "They last agreed {{ $value | humanizeDuration }} ago: they differ, or the sums are of long ago.",
    fires: {
      title: "one pair stops, others go on", every: "15s",
      series: {
        'stampede_reconciliation_last_success_timestamp_seconds{pair="orders_charges"}': "0+15x4 60x60",
        'stampede_reconciliation_last_success_timestamp_seconds{pair="stock_movements"}': "0+15x64",
      },
      quiet: "5m45s", at: "7m", labels: { pair: "orders_charges" },
    },
    silent: [
      { title: "they agree with every scrape", every: "15s", series: { 'stampede_reconciliation_last_success_timestamp_seconds{pair="orders_charges"}': "0+15x60" }, at: "12m" },
      { title: "some minutes are no fault", every: "15s", series: { 'stampede_reconciliation_last_success_timestamp_seconds{pair="orders_charges"}': "0+15x4 60x60" }, at: "5m45s" },
    ],
  },
  {
    name: "StampedeNothingSells",
    lhs: "sum(increase(stampede_checkout_requests_total{job=\"stampede\",outcome=~\"contended|not_admitted|shed_after_admission|error\"}[1m]))", op: ">", bound: 20,
    gate: "unless on() (sum(increase(stampede_orders_total{job=\"stampede\",outcome=\"placed\"}[1m])) > 0) and on() (sum(stampede_units{job=\"stampede\",state=\"available\"}) > 0)",
    for: "30s", severity: "page", slo: "correctness", dashboard: "war-room",
    summary: "Stock is left, buyers come, and nobody gets an order",
    description: "{{ $value | humanize }} purchases were turned away in a minute, none was placed, and units are available.",
    fires: {
      title: "all are turned away", every: "5s",
      series: { 'stampede_checkout_requests_total{outcome="not_admitted"}': "0+3x40", 'stampede_orders_total{outcome="placed"}': "100x40", 'stampede_units{state="available"}': "50x40" },
      quiet: "50s", at: "70s", labels: {},
    },
    silent: [
      { title: "few come", every: "5s", series: { 'stampede_checkout_requests_total{outcome="not_admitted"}': "0+1.5x40", 'stampede_orders_total{outcome="placed"}': "100x40", 'stampede_units{state="available"}': "50x40" }, at: "3m" },
      { title: "others get orders", every: "5s", series: { 'stampede_checkout_requests_total{outcome="not_admitted"}': "0+3x40", 'stampede_orders_total{outcome="placed"}': "0+1x40", 'stampede_units{state="available"}': "50x40" }, at: "3m" },
      { title: "sold out", every: "5s", series: { 'stampede_checkout_requests_total{outcome="contended"}': "0+3x40", 'stampede_orders_total{outcome="placed"}': "100x40", 'stampede_units{state="available"}': "0x40" }, at: "3m" },
    ],
  },
  {
    name: "StampedeHoldsLeak",
    lhs: "sum(stampede_units{job=\"stampede\",state=\"held\"})", op: ">", bound: 0,
    gate: "and on() (sum(increase(stampede_hold_transitions_total{job=\"stampede\"}[5m])) == 0)",
    for: "40m", severity: "ticket", slo: "correctness", dashboard: "correctness",
    summary: "Units are held, and no hold has moved for longer than a hold may last",
    description: "{{ $value }} unit(s) are held although no hold began or ended for 40m; holds.max-total is 30m.",
    fires: {
      title: "held for longer than any hold", every: "1m",
      series: { 'stampede_units{state="held"}': "12x60", 'stampede_hold_transitions_total{to="expired"}': "100x60" }, quiet: "35m", at: "50m", labels: {},
    },
    silent: [
      { title: "holds come and go", every: "1m", series: { 'stampede_units{state="held"}': "12x100", 'stampede_hold_transitions_total{to="held"}': "0+1x100" }, at: "95m" },
      { title: "nothing is held", every: "1m", series: { 'stampede_units{state="held"}': "0x100", 'stampede_hold_transitions_total{to="held"}': "100x100" }, at: "95m" },
    ],
  },
];
