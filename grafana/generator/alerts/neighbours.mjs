// Redis, and the database when the log is kept there.

const REDIS = (state) => `stampede_circuit_breaker_state{target="redis",state="${state}"}`;

export default [
  {
    name: "StampedeBreakerOpen",
    lhs: 'max by (target) (stampede_circuit_breaker_state{job="stampede",state=~"open|half_open"})', op: "==", bound: 1,
    for: "30s", severity: "ticket", dashboard: "neighbours",
    summary: "{{ $labels.target }} is not asked at present",
    description: "Its circuit has been open for 30s. Limits count per process and reads ask the SKU; nothing is lost.",
    fires: { title: "open, and tried now and then", every: "5s", series: { [REDIS("open")]: "0x10 1 1 0 1 1 0 1x20", [REDIS("half_open")]: "0x10 0 0 1 0 0 1 0x20", [REDIS("closed")]: "1x10 0x30" }, quiet: "75s", at: "100s", labels: { target: "redis" } },
    silent: [
      { title: "closed", every: "5s", series: { [REDIS("open")]: "0x40", [REDIS("half_open")]: "0x40", [REDIS("closed")]: "1x40" }, at: "3m" },
      { title: "not used", every: "5s", series: { [REDIS("open")]: "0x40", [REDIS("half_open")]: "0x40", [REDIS("closed")]: "0x40" }, at: "3m" },
    ],
  },
  {
    name: "StampedeCacheForeign",
    lhs: 'sum(increase(stampede_cache_reads_total{job="stampede",outcome="wrong"}[5m]))', op: ">", bound: 0,
    severity: "ticket", dashboard: "neighbours",
    summary: "Somebody else writes under our keys in Redis",
    description: "{{ $value | humanize }} reads in 5m found what is not ours. They were answered by the SKU.",
    fires: { title: "one", every: "15s", series: { 'stampede_cache_reads_total{outcome="wrong"}': "0x10 1x20" }, quiet: "2m", at: "3m", labels: {} },
    silent: [{ title: "misses", every: "15s", series: { 'stampede_cache_reads_total{outcome="wrong"}': "2x60", 'stampede_cache_reads_total{outcome="miss"}': "0+5x60" }, at: "10m" }],
  },
  {
    name: "StampedeLimitsUncounted",
    lhs: 'sum by (policy) (increase(stampede_rate_limit_decisions_total{job="stampede",decision="uncounted"}[5m]))', op: ">", bound: 0,
    severity: "ticket", dashboard: "api",
    summary: "The limit per {{ $labels.policy }} has no room for more keys",
    description: "{{ $value | humanize }} requests in 5m were let through uncounted, as limits.keys are in use.",
    fires: { title: "one", every: "15s", series: { 'stampede_rate_limit_decisions_total{policy="address",decision="uncounted"}': "0x10 1x20", 'stampede_rate_limit_decisions_total{policy="buyer",decision="deny"}': "0+9x30" }, quiet: "2m", at: "3m", labels: { policy: "address" } },
    silent: [{ title: "many are denied", every: "15s", series: { 'stampede_rate_limit_decisions_total{policy="buyer",decision="deny"}': "0+9x60", 'stampede_rate_limit_decisions_total{policy="buyer",decision="uncounted"}': "2x60" }, at: "10m" }],
  },
  {
    name: "StampedeLogHasNoOwner",
    lhs: 'max(stampede_cql_owner{job="stampede"})', op: "==", bound: 0,
    gate: 'and on() (count(stampede_journal_append_duration_seconds_count{job="stampede",backend="scylla"}) > 0)',
    for: "15s", severity: "page", dashboard: "neighbours",
    summary: "Nobody owns the log in the database",
    description: "All servers stand by, and buyers are told 421 not_owner.",
    fires: { title: "the owner is gone, a stand-by is left", every: "5s", series: { 'stampede_cql_owner{instance="a"}': "1x10 _x30", 'stampede_cql_owner{instance="b"}': "0x40", 'stampede_journal_append_duration_seconds_count{instance="b",backend="scylla"}': "0x40" }, quiet: "6m", at: "6m15s", labels: {} },
    silent: [
      { title: "one of two owns it", every: "5s", series: { 'stampede_cql_owner{instance="a"}': "1x80", 'stampede_cql_owner{instance="b"}': "0x80", 'stampede_journal_append_duration_seconds_count{instance="b",backend="scylla"}': "0x80" }, at: "6m" },
      { title: "the log is in the data directory", every: "5s", series: { 'stampede_cql_owner{instance="a"}': "0x80", 'stampede_journal_append_duration_seconds_count{instance="a",backend="embedded"}': "0x80" }, at: "6m" },
    ],
  },
  {
    name: "StampedeCqlOutcomesUnknown",
    lhs: 'sum(increase(stampede_cql_resubmissions_total{job="stampede"}[5m]))', op: ">", bound: 10,
    severity: "ticket", dashboard: "neighbours",
    summary: "The database often does not say what became of a write",
    description: "{{ $value | humanize }} writes were sent again in 5m. Buyers wait meanwhile; after cql.resolve-within the owner gives up.",
    fires: { title: "fifteen", every: "15s", series: { "stampede_cql_resubmissions_total": "0x10 0+0.75x40" }, quiet: "2m", at: "8m", labels: {} },
    silent: [{ title: "seven", every: "15s", series: { "stampede_cql_resubmissions_total": "0+0.38x60" }, at: "10m" }],
  },
];
