// Whom the server talks to: providers, workers, the broker, the database, the cache.
import { LIMITS } from "../slo.mjs";
import { of, quantile, rate } from "../panels.mjs";

const workflows = {
  uid: "workflows",
  title: "payments, fulfilment, broker",
  description: "From an order's asking for work to its definite answer.",
  panels: [
    { title: "Oldest unfinished work", kind: "timeseries", unit: "s", min: 0, bad: LIMITS.queueAge, w: 12, h: 8, queries: [[`max by (queue) (${of("stampede_queue_oldest_message_age_seconds")})`, "{{queue}}"], [`max(${of("stampede_outbox_oldest_age_seconds")})`, "over all"]], alerts: ["StampedeQueueNotDraining", "StampedeOutboxStuck"], next: "storage", description: "Age of the oldest message that no worker has finished." },
    { title: "Depth of queues", kind: "timeseries", unit: "short", min: 0, warn: LIMITS.queueDepth, w: 12, h: 8, queries: [[`sum by (queue) (${of("stampede_queue_depth_messages")})`, "{{queue}}"], [`max(${of("stampede_outbox_pending_messages")})`, "not taken over"]], alerts: ["StampedeQueueGrows", "StampedeOutboxStuck"], next: "storage", description: "Waiting or being worked on, here and in RabbitMQ." },
    { title: "Payment calls", kind: "timeseries", unit: "ops", min: 0, w: 12, h: 8, queries: [[`sum by (operation, outcome) (${rate("stampede_payment_attempts_total")}) > 0`, "{{operation}} {{outcome}}"]], alerts: ["StampedePaymentProviderDegraded"], next: "war-room", description: "To the provider, by what they led to." },
    { title: "Ends of messages", kind: "timeseries", unit: "ops", min: 0, w: 12, h: 8, queries: [[`sum by (queue, outcome) (${rate("stampede_messages_consumed_total")})`, "{{queue}} {{outcome}}"]], alerts: ["StampedeOutboxStuck"], next: "neighbours", description: "reported: a definite answer is committed. not_open, duplicate: somebody had done it. unknown: the order asks again." },
    { title: "Being worked on", kind: "timeseries", unit: "short", min: 0, queries: [[`sum by (workflow) (${of("stampede_workflows_in_flight")})`, "{{workflow}}"]], next: "actors", description: "Messages in workers' hands." },
    { title: "Time to a definite answer, p99", kind: "timeseries", unit: "s", min: 0, bad: 60, queries: [[quantile(0.99, "stampede_workflow_duration_seconds", undefined, "workflow"), "{{workflow}}"]], alerts: ["StampedeSettlementSlow"], next: "slo", description: "From a step being asked for to its answer being committed." },
    { title: "Callbacks and shipments", kind: "timeseries", unit: "ops", min: 0, queries: [[`sum by (provider) (${rate("stampede_payment_callbacks_total")})`, "callbacks {{provider}}"], [`sum by (outcome) (${rate("stampede_warehouse_shipments_total")})`, "shipments {{outcome}}"]], alerts: ["StampedeShipmentsRefused"], next: "correctness", description: "What outside parties say by themselves." },
    { title: "Orders for a person", kind: "timeseries", unit: "short", min: 0, warn: 1, queries: [[`sum by (reason) (increase(${of("stampede_orders_attention_total")}[$__rate_interval]))`, "{{reason}}"]], alerts: ["StampedeOrdersNeedAttention"], next: "correctness", description: "Orders that asked for somebody to look at them." },
    { title: "Frames read again", kind: "timeseries", unit: "ops", min: 0, queries: [[`sum(${rate("stampede_feed_frames_reread_total")})`, "frames"]], next: "storage", description: "From the log, because a queue had no room: more work than workers." },
  ],
};

const neighbours = {
  uid: "neighbours",
  title: "database, broker, cache",
  description: "ScyllaDB or Cassandra, RabbitMQ and Redis, where they are used. All 0 where they are not.",
  panels: [
    { title: "Owner of the log", kind: "state-timeline", unit: "short", w: 12, h: 7, queries: [[of("stampede_cql_owner"), "{{instance}}"]], alerts: ["StampedeLogHasNoOwner"], next: "fleet", description: "1 for the server that owns the log in the database. Exactly one, or nobody can buy." },
    { title: "Requests to the database", kind: "timeseries", unit: "ops", min: 0, w: 12, h: 7, queries: [[`sum by (statement, outcome) (${rate("stampede_cql_requests_total")})`, "{{statement}} {{outcome}}"]], alerts: ["StampedeCqlOutcomesUnknown"], next: "storage", description: "By statement. unknown: it may have been done, and is sent again until that is known." },
    { title: "Time per commit in the database", kind: "timeseries", unit: "ms", min: 0, queries: [[`sum(${rate("stampede_cql_request_milliseconds_total", 'statement="commit"')}) / clamp_min(sum(${rate("stampede_cql_requests_total", 'statement="commit"')}), 0.001)`, "commit"]], alerts: ["StampedeJournalSlow"], next: "storage", description: "Mean of one conditional batch." },
    { title: "Resubmissions and confirmations", kind: "timeseries", unit: "ops", min: 0, queries: [[`sum(${rate("stampede_cql_resubmissions_total")})`, "sent again"], [`sum(${rate("stampede_cql_confirmations_total")})`, "answers that waited for ownership"], [`sum(${rate("stampede_cql_trimmed_buckets_total")})`, "buckets archived"]], alerts: ["StampedeCqlOutcomesUnknown"], next: "storage", description: "Statements whose outcome was unknown." },
    { title: "RabbitMQ", kind: "state-timeline", unit: "short", queries: [[of("stampede_broker_up"), "up {{instance}}"], [of("stampede_broker_blocked"), "blocked {{instance}}"]], alerts: ["StampedeOutboxStuck"], next: "workflows", description: "up: a connection stands and its queues are right. blocked: it takes nothing, being short of memory or disk." },
    { title: "Published", kind: "timeseries", unit: "ops", min: 0, queries: [[`sum by (queue, outcome) (${rate("stampede_messages_published_total")})`, "{{queue}} {{outcome}}"]], alerts: ["StampedeOutboxStuck"], next: "workflows", description: "What became of publishing." },
    { title: "Deliveries", kind: "timeseries", unit: "ops", min: 0, queries: [[`sum by (queue, outcome) (${rate("stampede_broker_deliveries_total")})`, "{{queue}} {{outcome}}"], [`sum by (queue) (${rate("stampede_broker_redelivered_total")})`, "{{queue}} again"]], next: "workflows", description: "What workers said of them." },
    { title: "Waiting at the broker's door", kind: "timeseries", unit: "short", min: 0, queries: [[`sum(${of("stampede_broker_unconfirmed_messages")})`, "unconfirmed"], [`sum by (queue) (${of("stampede_broker_repeats_waiting")})`, "repeats {{queue}}"], [`sum by (queue) (${of("stampede_dead_letters")})`, "dead letters {{queue}}"]], alerts: ["StampedeOutboxStuck"], next: "workflows", description: "Published without a confirm, repeats that wait for an empty queue, dead letters." },
    { title: "Circuit before Redis", kind: "state-timeline", unit: "short", queries: [[`max by (target, state) (${of("stampede_circuit_breaker_state")})`, "{{target}} {{state}}"]], alerts: ["StampedeBreakerOpen"], next: "storage", description: "1 for the state that it is in; all 0 when Redis is not used." },
    { title: "Reads of stock in Redis", kind: "timeseries", unit: "ops", min: 0, queries: [[`sum by (outcome) (${rate("stampede_cache_reads_total")})`, "{{outcome}}"]], alerts: ["StampedeCacheForeign"], next: "api", description: "All but hit were answered by the SKU itself." },
    { title: "Connections to RabbitMQ", kind: "timeseries", unit: "short", min: 0, queries: [[`sum by (instance) (increase(${of("stampede_broker_connections_total")}[$__rate_interval]))`, "{{instance}}"]], next: "workflows", description: "Made anew. More than one now and then: the way there is unsteady." },
  ],
};

export default [workflows, neighbours];
