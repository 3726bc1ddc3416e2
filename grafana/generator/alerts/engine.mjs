// Admission, actors, the commit log and the store.
import { LIMITS } from "../slo.mjs";

const APPEND = (backend, le) => `stampede_journal_append_duration_seconds_bucket{backend="${backend}",le="${le}"}`;
const APPENDS = (backend) => `stampede_journal_append_duration_seconds_count{backend="${backend}"}`;
/** Between the bounds `low` and `high` of the histogram, all but three in a hundred at most `low`. */
const appends = (backend, low, high, each = 100) => ({
  [APPEND(backend, low)]: `0+${0.97 * each}x60`, [APPEND(backend, high)]: `0+${each}x60`, [APPEND(backend, "+Inf")]: `0+${each}x60`, [APPENDS(backend)]: `0+${each}x60`,
});
const journalSlow = (backend, bound, slower, less) => ({
  name: "StampedeJournalSlow", labels: { log: backend },
  lhs: `stampede:journal_append_seconds:p99{backend="${backend}"}`, op: ">", bound,
  gate: `and on (backend) (sum by (backend) (increase(stampede_journal_append_duration_seconds_count{job="stampede",backend="${backend}"}[1m])) > 50)`,
  for: "1m", severity: "page", dashboard: "storage",
  summary: `Commits take longer than ${bound * 1000} ms at p99 ({{ $labels.backend }})`,
  description: "p99 over 1m is {{ $value | humanizeDuration }}, and every purchase waits for its commit.",
  fires: { title: "half as slow again", every: "5s", series: appends(backend, ...slower), quiet: "40s", at: "100s", labels: { backend } },
  silent: [
    { title: "just fast enough", every: "5s", series: appends(backend, ...less), at: "4m" },
    { title: "slow, and hardly used", every: "5s", series: appends(backend, ...slower, 1), at: "4m" },
  ],
});

const SHARD = (n) => `stampede_shard_requests_total{shard="${n}"}`;
const shards = (first, others) => Object.fromEntries([0, 1, 2, 3, 4, 5].map((n) => [SHARD(n), `0+${n === 0 ? first : others}x60`]));
const OF_STORE = (outcome, op = "write") => `stampede_store_operations_total{backend="embedded",op="${op}",outcome="${outcome}"}`;

export default [
  {
    name: "StampedePermitsSaturated",
    lhs: "stampede:permit_fill_ratio:max", op: ">", bound: LIMITS.permits,
    for: "20s", severity: "page", dashboard: "actors",
    summary: "Shard {{ $labels.shard }} has {{ $value | humanizePercentage }} of its permits in use",
    description: "When all are taken, buyers are told 503 overloaded.",
    fires: { title: "nine tenths", every: "5s", series: { 'stampede_shard_permits_in_use{shard="0"}': "900x30", 'stampede_shard_permits_capacity{shard="0"}': "1000x30" }, quiet: "15s", at: "30s", labels: { shard: "0" } },
    silent: [{ title: "three quarters", every: "5s", series: { 'stampede_shard_permits_in_use{shard="0"}': "750x30", 'stampede_shard_permits_capacity{shard="0"}': "1000x30" }, at: "2m" }],
  },
  {
    name: "StampedeShedding",
    lhs: "stampede:shed_ratio:rate1m", op: ">", bound: LIMITS.shed,
    for: "1m", severity: "ticket", dashboard: "api",
    summary: "{{ $value | humanizePercentage }} of all requests are refused to protect the server",
    description: "No permit, no room in a queue, or no answer in time. Refused buyers are told to come again.",
    fires: { title: "eight in a hundred", every: "5s", series: { 'stampede_http_requests_shed_total{reason="no_permit"}': "0+80x60", 'stampede_http_requests_total{status_class="2xx"}': "0+1000x60" }, quiet: "45s", at: "100s", labels: {} },
    silent: [
      { title: "four in a hundred", every: "5s", series: { 'stampede_http_requests_shed_total{reason="no_permit"}': "0+40x60", 'stampede_http_requests_total{status_class="2xx"}': "0+1000x60" }, at: "4m" },
      { title: "the disk is full, which has an alert of its own", every: "5s", series: { 'stampede_http_requests_shed_total{reason="disk_full"}': "0+80x60", 'stampede_http_requests_total{status_class="2xx"}': "0+1000x60" }, at: "4m" },
    ],
  },
  {
    name: "StampedeStreamsRefused",
    lhs: 'sum(increase(stampede_http_requests_shed_total{job="stampede",reason="streams"}[5m]))', op: ">", bound: 0,
    severity: "ticket", dashboard: "api",
    summary: "Live streams of stock are refused",
    description: "{{ $value | humanize }} in 5m: as many are open as streams.max allows. Pages fall back to asking.",
    fires: { title: "one is refused", every: "15s", series: { 'stampede_http_requests_shed_total{reason="streams"}': "0x10 3x20" }, quiet: "2m", at: "3m", labels: {} },
    silent: [{ title: "others are refused", every: "15s", series: { 'stampede_http_requests_shed_total{reason="streams"}': "3x40", 'stampede_http_requests_shed_total{reason="busy"}': "0+9x40" }, at: "5m" }],
  },
  {
    name: "StampedeActorRestarting",
    lhs: 'sum by (actor) (increase(stampede_actor_restarts_total{job="stampede"}[5m]))', op: ">", bound: 3,
    severity: "page", dashboard: "actors",
    summary: "Entities of kind {{ $labels.actor }} crash",
    description: "{{ $value | humanize }} were reloaded in 5m. Each crash is a bug, and one answer 500.",
    fires: { title: "four in five minutes", every: "15s", series: { 'stampede_actor_restarts_total{actor="sku",reason="panic"}': "0x10 2x4 4x30" }, quiet: "2m30s", at: "5m", labels: { actor: "sku" } },
    silent: [{ title: "two in five minutes", every: "15s", series: { 'stampede_actor_restarts_total{actor="sku",reason="panic"}': "0x10 2x40" }, at: "5m" }],
  },
  {
    name: "StampedeActorQuarantined",
    lhs: 'max by (instance) (stampede_actors_quarantined{job="stampede"})', op: ">", bound: 0,
    severity: "page", dashboard: "actors",
    summary: "{{ $labels.instance }} has put entities into quarantine",
    description: "{{ $value }} entities take no commands after repeated crashes. Their neighbours work on.",
    fires: { title: "one", every: "5s", series: { 'stampede_actors_quarantined{instance="a"}': "0x10 1x20" }, quiet: "50s", at: "60s", labels: { instance: "a" } },
    silent: [{ title: "none", every: "5s", series: { 'stampede_actors_quarantined{instance="a"}': "0x40" }, at: "3m" }],
  },
  {
    name: "StampedeHotShard",
    lhs: "stampede:shard_skew_ratio", op: ">", bound: LIMITS.skew,
    gate: 'and on() (sum(rate(stampede_shard_requests_total{job="stampede"}[1m])) > 100)',
    for: "1m", severity: "ticket", dashboard: "inventory",
    summary: "One shard gets {{ $value | humanize }} times the mean load",
    description: "One SKU, or few on one shard, are wanted far more than others.",
    fires: { title: "one of six gets nearly all", every: "5s", series: shards(9000, 100), quiet: "45s", at: "100s", labels: {} },
    silent: [
      { title: "one gets 3.5 times the mean", every: "5s", series: shards(700, 100), at: "4m" },
      { title: "hardly any load", every: "5s", series: shards(90, 1), at: "4m" },
    ],
  },
  journalSlow("embedded", LIMITS.journal, [0.025, 0.05], [0.01, 0.025]),
  journalSlow("scylla", LIMITS.journalCql, [0.25, 0.5], [0.1, 0.25]),
  {
    name: "StampedeJournalBacklog",
    lhs: 'max by (instance) (stampede_journal_waiting_records{job="stampede"})', op: ">", bound: LIMITS.waiting,
    for: "10s", severity: "page", dashboard: "storage",
    summary: "The queue in front of the log of {{ $labels.instance }} is more than half full",
    description: "{{ $value }} records wait; at log.queue-records purchases are refused with 503 overloaded.",
    fires: { title: "three quarters of the room", every: "5s", series: { 'stampede_journal_waiting_records{instance="a"}': "100x10 49152x20" }, quiet: "60s", at: "70s", labels: { instance: "a" } },
    silent: [{ title: "a third", every: "5s", series: { 'stampede_journal_waiting_records{instance="a"}': "22000x40" }, at: "3m" }],
  },
  {
    name: "StampedeJournalUpkeepFails",
    lhs: 'sum by (backend) (increase(stampede_journal_upkeep_failures_total{job="stampede"}[15m]))', op: ">", bound: 0,
    severity: "ticket", dashboard: "storage",
    summary: "Files of the log cannot be archived, reused or made ahead",
    description: "{{ $value | humanize }} failures in 15m ({{ $labels.backend }}). They are tried again; meanwhile the log grows.",
    fires: { title: "one failure", every: "15s", series: { 'stampede_journal_upkeep_failures_total{backend="embedded"}': "0x10 1x20" }, quiet: "2m", at: "3m", labels: { backend: "embedded" } },
    silent: [{ title: "none since", every: "15s", series: { 'stampede_journal_upkeep_failures_total{backend="embedded"}': "1x40" }, at: "8m" }],
  },
  {
    name: "StampedeProjectionLagging",
    lhs: 'max by (instance) (stampede_projection_lag_records{job="stampede"})', op: ">", bound: LIMITS.lag,
    for: "1m", severity: "ticket", dashboard: "storage",
    summary: "The store of {{ $labels.instance }} is behind its log",
    description: "{{ $value }} committed records are not written yet. Lists and sums are late; at a million readiness fails.",
    fires: { title: "half as much again", every: "15s", series: { 'stampede_projection_lag_records{instance="a"}': "400000x20" }, quiet: "45s", at: "90s", labels: { instance: "a" } },
    silent: [{ title: "less", every: "15s", series: { 'stampede_projection_lag_records{instance="a"}': "200000x20" }, at: "4m" }],
  },
  {
    name: "StampedeStoreFails",
    lhs: 'stampede:store_error_ratio:rate1m{backend="embedded"}', op: ">", bound: LIMITS.storeErrors,
    for: "1m", severity: "page", dashboard: "storage",
    summary: "{{ $value | humanizePercentage }} of the store's operations fail",
    description: "Reads and lists fail ({{ $labels.backend }}). What was acknowledged is in the log.",
    fires: { title: "three in two hundred", every: "5s", series: { [OF_STORE("failed")]: "0+1.5x60", [OF_STORE("done")]: "0+100x60" }, quiet: "45s", at: "100s", labels: { backend: "embedded" } },
    silent: [
      { title: "three in four hundred", every: "5s", series: { [OF_STORE("failed")]: "0+0.75x60", [OF_STORE("done")]: "0+100x60" }, at: "4m" },
      { title: "Redis fails, which nothing rests on", every: "5s", series: { 'stampede_store_operations_total{backend="redis",op="get",outcome="failed"}': "0+50x60", 'stampede_store_operations_total{backend="redis",op="get",outcome="done"}': "0+50x60" }, at: "4m" },
    ],
  },
];
