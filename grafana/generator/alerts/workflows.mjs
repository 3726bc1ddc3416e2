// From a placed order to its money and its parcel.
import { LIMITS } from "../slo.mjs";

const TRY = (outcome) => `stampede_payment_attempts_total{provider="simulated",operation="authorize",outcome="${outcome}"}`;

export default [
  {
    name: "StampedeOutboxStuck",
    lhs: 'max(stampede_outbox_pending_messages{job="stampede"})', op: ">", bound: 0,
    gate: 'unless on() (sum(increase(stampede_messages_consumed_total{job="stampede"}[30s])) > 0)',
    for: "30s", severity: "page", dashboard: "workflows",
    summary: "Work that orders asked for is not taken over",
    description: "{{ $value }} committed records wait, and no message came to an end for 30s. Orders are safe; payments do not start.",
    fires: { title: "nothing is consumed", every: "5s", series: { "stampede_outbox_pending_messages": "7x40", 'stampede_messages_consumed_total{queue="payment",outcome="reported"}': "100x40" }, quiet: "25s", at: "45s", labels: {} },
    silent: [
      { title: "much waits and moves", every: "5s", series: { "stampede_outbox_pending_messages": "9000x40", 'stampede_messages_consumed_total{queue="payment",outcome="reported"}': "0+5x40" }, at: "3m" },
      { title: "nothing to do", every: "5s", series: { "stampede_outbox_pending_messages": "0x40", 'stampede_messages_consumed_total{queue="payment",outcome="reported"}': "100x40" }, at: "3m" },
    ],
  },
  {
    name: "StampedeQueueNotDraining",
    lhs: 'max by (queue) (stampede_queue_oldest_message_age_seconds{job="stampede"})', op: ">", bound: LIMITS.queueAge,
    for: "30s", severity: "page", dashboard: "workflows",
    summary: "The oldest message for {{ $labels.queue }} is {{ $value | humanizeDuration }} old",
    description: "Age, not depth: a deep queue that drains is well.",
    fires: { title: "a shallow queue that rots", every: "5s", series: { 'stampede_queue_oldest_message_age_seconds{queue="fulfilment"}': "0+5x60", 'stampede_queue_depth_messages{queue="fulfilment"}': "3x60" }, quiet: "85s", at: "110s", labels: { queue: "fulfilment" } },
    silent: [{ title: "a deep queue that drains", every: "5s", series: { 'stampede_queue_oldest_message_age_seconds{queue="payment"}': "40x60", 'stampede_queue_depth_messages{queue="payment"}': "90000-500x60" }, at: "4m" }],
  },
  {
    name: "StampedeQueueGrows",
    lhs: 'sum by (queue) (stampede_queue_depth_messages{job="stampede"})', op: ">", bound: LIMITS.queueDepth,
    gate: 'and (sum by (queue) (deriv(stampede_queue_depth_messages{job="stampede"}[2m])) > 0)',
    for: "2m", severity: "ticket", dashboard: "workflows",
    summary: "The queue for {{ $labels.queue }} keeps growing",
    description: "{{ $value }} messages: more work comes in than goes out.",
    fires: { title: "and is deep", every: "15s", series: { 'stampede_queue_depth_messages{queue="payment"}': "1200+10x40" }, quiet: "1m45s", at: "3m30s", labels: { queue: "payment" } },
    silent: [
      { title: "deep and shrinking", every: "15s", series: { 'stampede_queue_depth_messages{queue="payment"}': "50000-100x60" }, at: "10m" },
      { title: "growing and not deep", every: "15s", series: { 'stampede_queue_depth_messages{queue="payment"}': "520+5x60" }, at: "10m" },
    ],
  },
  {
    name: "StampedeOrdersNeedAttention",
    lhs: 'sum by (reason) (increase(stampede_orders_attention_total{job="stampede"}[15m]))', op: ">", bound: 0,
    severity: "ticket", dashboard: "workflows",
    summary: "Orders need a person: {{ $labels.reason }}",
    description: "{{ $value | humanize }} in 15m. GET /v1/orders?attention=true lists them.",
    fires: { title: "one order", every: "15s", series: { 'stampede_orders_attention_total{reason="unanswered"}': "0x10 1x20", 'stampede_orders_attention_total{reason="unfulfilled"}': "4x40" }, quiet: "2m", at: "3m", labels: { reason: "unanswered" } },
    silent: [{ title: "none since", every: "15s", series: { 'stampede_orders_attention_total{reason="unanswered"}': "3x60" }, at: "10m" }],
  },
  {
    name: "StampedePaymentProviderDegraded",
    lhs: "stampede:payment_success_ratio:rate1m", op: "<", bound: LIMITS.payments,
    gate: 'and on (provider) (sum by (provider) (increase(stampede_payment_attempts_total{job="stampede",outcome=~"authorised|error|timeout"}[1m])) > 20)',
    for: "1m", severity: "page", dashboard: "workflows",
    summary: "Only {{ $value | humanizePercentage }} of the calls to {{ $labels.provider }} succeed",
    description: "Errors and time-outs; declined cards are not counted. Orders wait and their holds are extended.",
    fires: { title: "three of ten time out", every: "5s", series: { [TRY("authorised")]: "0+70x60", [TRY("timeout")]: "0+30x60", [TRY("declined")]: "0+100x60" }, quiet: "45s", at: "100s", labels: { provider: "simulated" } },
    silent: [
      { title: "many are declined", every: "5s", series: { [TRY("authorised")]: "0+95x60", [TRY("timeout")]: "0+5x60", [TRY("declined")]: "0+300x60" }, at: "4m" },
      { title: "one of a few calls", every: "5s", series: { [TRY("authorised")]: "0+0.5x60", [TRY("timeout")]: "0+0.5x60" }, at: "4m" },
    ],
  },
  {
    name: "StampedeShipmentsRefused",
    lhs: 'sum(increase(stampede_warehouse_shipments_total{job="stampede",outcome="refused"}[15m]))', op: ">", bound: 0,
    severity: "ticket", dashboard: "workflows",
    summary: "The warehouse reports shipments that orders refuse",
    description: "{{ $value | humanize }} in 15m: it has sent something that the order does not have, or has had before.",
    fires: { title: "one", every: "15s", series: { 'stampede_warehouse_shipments_total{outcome="refused"}': "0x10 1x20" }, quiet: "2m", at: "3m", labels: {} },
    silent: [{ title: "all are taken in", every: "15s", series: { 'stampede_warehouse_shipments_total{outcome="refused"}': "1x60", 'stampede_warehouse_shipments_total{outcome="taken_in"}': "0+9x60" }, at: "10m" }],
  },
  {
    name: "StampedeIdempotencyMismatch",
    lhs: 'sum(increase(stampede_idempotency_requests_total{job="stampede",outcome="fingerprint_mismatch"}[5m]))', op: ">", bound: 20,
    severity: "ticket", dashboard: "api",
    summary: "A client uses one key for different requests",
    description: "{{ $value | humanize }} in 5m: a client with a bug, or somebody who guesses keys.",
    fires: { title: "thirty in five minutes", every: "15s", series: { 'stampede_idempotency_requests_total{outcome="fingerprint_mismatch"}': "0x10 0+1.5x40" }, quiet: "2m", at: "8m", labels: {} },
    silent: [{ title: "fifteen", every: "15s", series: { 'stampede_idempotency_requests_total{outcome="fingerprint_mismatch"}': "0+0.75x60" }, at: "10m" }],
  },
];
