// Inside the server: entities, the log, the store.
import { LIMITS } from "../slo.mjs";
import { of, quantile, rate } from "../panels.mjs";

const actors = {
  uid: "actors",
  title: "actors",
  description: "Entities by kind: use, saturation, errors.",
  panels: [
    { title: "Permit fill", kind: "timeseries", unit: "percentunit", min: 0, max: 1, bad: LIMITS.permits, w: 12, h: 8, queries: [["stampede:permit_fill_ratio:max", "{{shard}}"]], alerts: ["StampedePermitsSaturated"], next: "storage", description: "Purchases admitted to a shard and not answered, of those that may be." },
    { title: "Wait before a shard, p99", kind: "timeseries", unit: "s", min: 0, w: 12, h: 8, queries: [[quantile(0.99, "stampede_shard_wait_seconds", undefined, "shard"), "{{shard}}"]], alerts: ["StampedeHotShard"], next: "inventory", description: "From a question's being sent to its being handled: how saturated the shard is." },
    { title: "Handling, p99", kind: "timeseries", unit: "s", min: 0, w: 12, h: 8, queries: [[quantile(0.99, "stampede_actor_handle_duration_seconds", undefined, "actor"), "{{actor}}"]], next: "storage", description: "How long an entity is busy with one question. One question in 13 is timed." },
    { title: "Entities in memory", kind: "timeseries", unit: "short", min: 0, w: 12, h: 8, queries: [[`sum by (actor) (${of("stampede_actors_warm")})`, "{{actor}}"]], next: "fleet", description: "Bounded by passivate.warm." },
    { title: "Started and put away", kind: "timeseries", unit: "ops", min: 0, queries: [[`sum by (actor) (${rate("stampede_actor_activations_total")})`, "{{actor}} started"], [`sum by (actor) (${rate("stampede_actor_passivations_total")})`, "{{actor}} put away"]], next: "storage", description: "Much of both at once: passivate.warm is too small for this load." },
    { title: "Crashes", kind: "timeseries", unit: "short", min: 0, bad: 1, queries: [[`sum by (actor, reason) (increase(${of("stampede_actor_restarts_total")}[$__rate_interval]))`, "{{actor}} {{reason}}"], [`sum(${of("stampede_actors_quarantined")})`, "in quarantine"]], alerts: ["StampedeActorRestarting", "StampedeActorQuarantined"], next: "fleet", description: "Each one is a defect. The entity is loaded again from the log." },
    { title: "Dropped messages", kind: "timeseries", unit: "ops", min: 0, queries: [[`sum by (reason) (${rate("stampede_actor_messages_dropped_total")})`, "{{reason}}"]], alerts: ["StampedeShedding"], next: "api", description: "full: refused by a bounded queue. stale_reply: whoever asked had given up." },
    { title: "Timers", kind: "timeseries", unit: "ops", min: 0, queries: [[`sum(${rate("stampede_timers_fired_total")})`, "fired"]], alerts: ["StampedeHoldsLeak"], next: "correctness", description: "Deadlines of holds, carts and orders that came up." },
  ],
};

const storage = {
  uid: "storage",
  title: "log and stores",
  description: "What every purchase waits for, and what is written after it.",
  panels: [
    { title: "Commit", kind: "timeseries", unit: "s", min: 0, bad: LIMITS.journal, w: 12, h: 8, queries: [0.5, 0.99].map((q) => [quantile(q, "stampede_journal_append_duration_seconds", undefined, "backend"), `p${q * 100} {{backend}}`]), alerts: ["StampedeJournalSlow"], next: "fleet", description: "From the decision of a frame's oldest record to its commit." },
    { title: "Records per frame", kind: "heatmap", unit: "short", w: 12, h: 8, queries: [[`sum by (le) (${rate("stampede_journal_batch_records_bucket")})`, "{{le}}"]], alerts: ["StampedeJournalBacklog"], next: "actors", description: "How many share one sync. Grows with load: that is what keeps the commit cheap." },
    { title: "Records and frames", kind: "timeseries", unit: "ops", min: 0, w: 12, h: 8, queries: [[`sum by (backend) (${rate("stampede_journal_records_total")})`, "records {{backend}}"], [`sum by (backend) (${rate("stampede_journal_frames_total")})`, "frames {{backend}}"]], next: "actors", description: "Committed per second." },
    { title: "Waiting for the log", kind: "timeseries", unit: "short", min: 0, bad: LIMITS.waiting, w: 12, h: 8, queries: [[`max by (instance) (${of("stampede_journal_waiting_records")})`, "{{instance}}"]], alerts: ["StampedeJournalBacklog"], next: "actors", description: "Records handed over and not committed." },
    { title: "Sync and pace", kind: "timeseries", unit: "s", min: 0, queries: [[`max by (backend) (${of("stampede_journal_sync_seconds")})`, "sync {{backend}}"], [`max by (backend) (${of("stampede_journal_pace_seconds")})`, "wait for company {{backend}}"]], alerts: ["StampedeJournalSlow"], next: "fleet", description: "One write and sync, smoothed, and how long a frame waits for more records." },
    { title: "Size of the log", kind: "timeseries", unit: "bytes", min: 0, queries: [[`sum by (backend) (${of("stampede_journal_bytes")})`, "{{backend}}"]], alerts: ["StampedeJournalUpkeepFails", "StampedeDiskFull"], next: "fleet", description: "Live and spare segments on disk; the archive is apart." },
    { title: "Written", kind: "timeseries", unit: "Bps", min: 0, queries: [[`sum by (backend) (${rate("stampede_journal_written_bytes_total")})`, "{{backend}}"]], next: "fleet", description: "Bytes of frames, padding included." },
    { title: "Projection lag", kind: "timeseries", unit: "short", min: 0, bad: LIMITS.lag, queries: [[`max by (instance) (${of("stampede_projection_lag_records")})`, "{{instance}}"]], alerts: ["StampedeProjectionLagging"], next: "fleet", description: "Committed records that the store does not hold yet: lists and sums are that late." },
    { title: "Operations of the store", kind: "timeseries", unit: "ops", min: 0, queries: [[`sum by (backend, op, outcome) (${rate("stampede_store_operations_total")}) > 0`, "{{backend}} {{op}} {{outcome}}"]], alerts: ["StampedeStoreFails"], next: "neighbours", description: "Of the store in the data directory, and of Redis." },
    { title: "Latency of the store, p99", kind: "timeseries", unit: "s", min: 0, queries: [[quantile(0.99, "stampede_store_operation_duration_seconds", undefined, "backend"), "{{backend}}"]], alerts: ["StampedeStoreFails"], next: "fleet", description: "All operations but contains." },
    { title: "Reading back at the last start", kind: "stat", unit: "s", warn: 5, queries: [[`max by (instance) (${of("stampede_journal_recovery_seconds", 'backend="embedded"')})`, "{{instance}}"]], alerts: ["StampedeRestarting"], next: "fleet", description: "How long the log was read at the start. checkpoint.records bounds it." },
    { title: "Upkeep that failed", kind: "timeseries", unit: "short", min: 0, bad: 1, queries: [[`sum by (backend) (increase(${of("stampede_journal_upkeep_failures_total")}[$__rate_interval]))`, "{{backend}}"]], alerts: ["StampedeJournalUpkeepFails"], next: "fleet", description: "Segments that could not be archived, reused or made ahead. It is tried again." },
  ],
};

const fleet = {
  uid: "fleet",
  title: "fleet",
  description: "Servers, versions, what they use, and how many series they export.",
  panels: [
    { title: "Ready, by check", kind: "state-timeline", unit: "short", least: 1, w: 24, h: 8, queries: [[`min by (instance, check) (${of("stampede_ready")})`, "{{instance}} {{check}}"]], alerts: ["StampedeNotReady", "StampedeDiskFull", "StampedeInstanceDown"], next: "storage", description: "Green: the check passes. /health/ready says why not." },
    { title: "Up", kind: "stat", unit: "short", least: 1, w: 6, queries: [['count(up{job=~"$job",instance=~"$instance"} == 1)', "servers"]], alerts: ["StampedeInstanceDown", "StampedeNoInstances"], next: "war-room", description: "Servers that answered the last scrape." },
    { title: "Versions", kind: "table", unit: "short", w: 6, queries: [[`count by (version, commit) (${of("stampede_build_info")})`]], alerts: ["StampedeVersionSkew"], next: "war-room", description: "Builds that run. More than one for half an hour is a deployment that has stopped." },
    { title: "Restarts", kind: "timeseries", unit: "short", min: 0, w: 6, queries: [[`max by (instance) (changes(${of("stampede_process_start_time_seconds")}[15m]))`, "{{instance}}"]], alerts: ["StampedeRestarting"], next: "storage", description: "Starts within a quarter of an hour." },
    { title: "Trials", kind: "timeseries", unit: "short", min: 0, max: 1, w: 6, queries: [[`max by (instance, kind) (${of("stampede_scenario_active")})`, "{{instance}} {{kind}}"]], alerts: ["StampedeFaultsOn"], next: "war-room", description: "1 while a server is told to do things wrong, or to measure." },
    { title: "CPU", kind: "timeseries", unit: "short", min: 0, queries: [[`${rate("stampede_process_cpu_milliseconds_total")} / 1000`, "{{instance}}"]], alerts: ["StampedeCheckoutSlowInSale"], next: "actors", description: "Cores in use." },
    { title: "Memory", kind: "timeseries", unit: "bytes", min: 0, queries: [[of("stampede_process_resident_memory_bytes"), "{{instance}}"]], alerts: ["StampedeRestarting"], next: "actors", description: "Resident. Entities in memory are bounded by passivate.warm." },
    { title: "Files and threads", kind: "timeseries", unit: "short", min: 0, queries: [[of("stampede_process_open_fds"), "files {{instance}}"], [of("stampede_process_threads"), "threads {{instance}}"]], next: "api", description: "Each connection is a file." },
    { title: "Series exported", kind: "timeseries", unit: "short", min: 0, bad: LIMITS.series, w: 12, queries: [[`max by (instance) (${of("stampede_metrics_series")})`, "{{instance}}"]], alerts: ["StampedeManySeries"], next: "war-room", description: "Beyond 5,000 Prometheus refuses the whole scrape." },
    { title: "Labels that nobody knew", kind: "timeseries", unit: "ops", min: 0, bad: 0.01, w: 12, queries: [[`sum by (instance) (${rate("stampede_metrics_overflow_total")}) or 0 * max by (instance) (${of("stampede_build_info")})`, "{{instance}}"]], alerts: ["StampedeLabelOverflow"], next: "war-room", description: "Exported as _other. Each is a defect of the catalogue of metrics." },
  ],
};

export default [actors, storage, fleet];
