// A load test as the generator sees it, beside what the server says of the same moments.
import { FAST_SECONDS, LIMITS } from "../slo.mjs";
import { ofLoad, quantile, quantileOfLoad, rate, rateOfLoad } from "../panels.mjs";

const ANSWERED = "stampede_load_answer_duration_seconds";

const load = {
  uid: "load",
  title: "load test",
  description: "A run of `stampede load --metrics`: what was offered, what came of it, and whether the generator can be believed.",
  range: "now-15m",
  panels: [
    { title: "Scenario", kind: "state-timeline", unit: "short", w: 8, h: 5, queries: [[`max by (scenario, profile) (${ofLoad("stampede_load_info")})`, "{{scenario}} {{profile}}"]], next: "war-room", description: "Which scenario was played, and when." },
    { title: "Progress", kind: "gauge", unit: "percentunit", min: 0, max: 1, w: 4, h: 5, queries: [[`sum(${ofLoad("stampede_load_due_arrivals_total")}) / sum(${ofLoad("stampede_load_planned_arrivals")})`, "due"]], next: "war-room", description: "Arrivals whose moment has come, of all that the scenario has." },
    { title: "Dropped arrivals", kind: "stat", unit: "short", bad: 1, w: 4, h: 5, queries: [[`sum(${ofLoad("stampede_load_dropped_arrivals_total")})`, "dropped"]], next: "load", description: "Arrivals that the generator could not start in time, or that found too many buyers at the counter. One makes the run void: it proves nothing." },
    { title: "Without a usable answer", kind: "stat", unit: "short", bad: 1, w: 4, h: 5, queries: [[`sum(${ofLoad("stampede_load_answers_total", 'outcome="failed"')})`, "failed"]], next: "api", description: "Arrivals that ended with neither an order nor a refusal." },
    { title: "Orders told to buyers", kind: "stat", unit: "short", w: 4, h: 5, queries: [[`sum(${ofLoad("stampede_load_answers_total", 'outcome="accepted"')})`, "accepted"]], next: "correctness", description: "Arrivals that ended with an order. After the run each of them is looked up in the server." },
    { title: "Offered and answered", kind: "timeseries", unit: "ops", min: 0, w: 12, h: 8, queries: [[`sum(${ofLoad("stampede_load_target_arrivals_per_second")})`, "asked for"], [`sum(${rateOfLoad("stampede_load_arrivals_total")})`, "started"], [`sum(${rateOfLoad("stampede_load_answers_total")})`, "answered"], [`sum(${rateOfLoad("stampede_load_dropped_arrivals_total")})`, "dropped"]], next: "api", description: "Arrivals per second. The load is open: buyers come at their moments, however slow the answers are. answered below started: they wait." },
    { title: "How arrivals ended", kind: "timeseries", unit: "ops", stacked: true, min: 0, w: 12, h: 8, queries: [[`sum by (outcome) (${rateOfLoad("stampede_load_answers_total")})`, "{{outcome}}"]], next: "war-room", description: "accepted until the stock is gone, then sold_out. unavailable is a 503, failed no usable answer." },
    { title: "Latency, generator beside server", kind: "timeseries", unit: "s", min: 0, bad: FAST_SECONDS, w: 12, h: 8, queries: [...[0.5, 0.99].map((q) => [quantileOfLoad(q, ANSWERED), `felt, p${q * 100}`]), ...[0.5, 0.99].map((q) => [quantile(q, "stampede_checkout_duration_seconds", 'stage="total"'), `server, p${q * 100}`])], alerts: ["StampedeCheckoutSlowInSale"], next: "api", description: "felt: from the moment an arrival was meant for to the answer that decided it, steps before the purchase included. server: from a purchase's request to its answer. What lies between them waited before the server, on the way or in the generator." },
    { title: "Latency by answer", kind: "timeseries", unit: "s", min: 0, bad: FAST_SECONDS, w: 12, h: 8, queries: [0.5, 0.99].map((q) => [quantileOfLoad(q, ANSWERED, undefined, "answer"), `{{answer}}, p${q * 100}`]), next: "api", description: "As buyers felt it. sold_out is the answer that most of them get, and the fastest." },
    { title: "Orders, told and counted", kind: "timeseries", unit: "ops", min: 0, w: 12, h: 8, queries: [[`sum(${rateOfLoad("stampede_load_answers_total", 'outcome="accepted"')})`, "told to buyers"], [`sum(${rate("stampede_checkout_requests_total", 'outcome="accepted"')})`, "counted by the server"]], next: "correctness", description: "The server's are more when others buy as well." },
    { title: "Latency felt", kind: "heatmap", unit: "s", w: 12, h: 8, queries: [[`sum by (le) (${rateOfLoad(`${ANSWERED}_bucket`)})`, "{{le}}"]], next: "api", description: "All answers. A second band above the first is something that waits." },
    { title: "In flight", kind: "timeseries", unit: "short", min: 0, queries: [[`sum(${ofLoad("stampede_load_buyers_in_flight")})`, "buyers"], [`sum(${ofLoad("stampede_load_requests_in_flight")})`, "requests"]], next: "actors", description: "Buyers at the counter, and their requests: sent, or waiting for one of the connections." },
    { title: "Lateness of the generator", kind: "timeseries", unit: "s", min: 0, bad: LIMITS.lateness, queries: [0.5, 0.99, 1].map((q) => [quantileOfLoad(q, "stampede_load_lateness_seconds"), `p${q * 100}`]), next: "load", description: "From an arrival's moment to its turn. It is in every latency above; a second of it drops the arrival." },
    { title: "CPU of the generator", kind: "timeseries", unit: "percentunit", min: 0, bad: LIMITS.generator, queries: [[`sum by (instance) (${rateOfLoad("stampede_load_cpu_milliseconds_total")}) / 1000`, "{{instance}}"]], next: "fleet", description: "Of one core: one thread does it all. From 80 % on over five seconds the generator was the bottleneck, and the run is void." },
  ],
};

export default [load];
