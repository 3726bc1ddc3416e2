// Budgets: what buyers feel, over two windows each, so that an alert comes soon and goes soon.
import { AVAILABILITY, BURN, FAST_SECONDS, LIMITS, PROMPTNESS, SETTLED_SECONDS, TRAFFIC, exact } from "../slo.mjs";

const busy = `and on() (stampede:checkout_requests:increase1m > ${TRAFFIC})`;
const minutes = (text) => Number.parseInt(text, 10) * { s: 1 / 60, m: 1, h: 60, d: 1440 }[text.at(-1)];
const time = (inMinutes) => `${Math.round(inMinutes * 60)}s`;

const ACCEPTED = 'stampede_checkout_requests_total{outcome="accepted"}';
const ERROR = 'stampede_checkout_requests_total{outcome="error"}';
const BUCKET = `stampede_checkout_duration_seconds_bucket{stage="total",le="${FAST_SECONDS}"}`;
const COUNT = 'stampede_checkout_duration_seconds_count{stage="total"}';

/** So many purchases a step of which `share` fail or are slow; from step `after` on `then` of them. */
function errors(each, share, steps, after = 0, then = share) {
  const [before, later] = [exact(each * share), exact(each * then)];
  const failed = after === 0 ? `0+${before}x${steps}` : `0+${before}x${after} ${exact(before * after + later)}+${later}x${steps - after}`;
  return { [ACCEPTED]: `0+${each}x${steps}`, [ERROR]: failed };
}
function slow(each, share, steps, after = 0, then = share) {
  const [before, later] = [exact(each * (1 - share)), exact(each * (1 - then))];
  const fast = after === 0 ? `0+${before}x${steps}` : `0+${before}x${after} ${exact(before * after + later)}+${later}x${steps - after}`;
  return { [ACCEPTED]: `0+${each}x${steps}`, [COUNT]: `0+${each}x${steps}`, [BUCKET]: fast };
}

/** The cases of an alert over two windows, in a sale: 500 purchases per second, samples five seconds apart. */
function inSale(bound, long, short, made) {
  const before = 12;
  const until = before + minutes(long) * 12;
  const over = until + minutes(short) * 12 + 1;
  const at = (step) => time(step / 12);
  return {
    fires: { title: "half as much again as allowed", every: "5s", series: made(2500, 0, over, before, 1.5 * bound), quiet: at(before), at: at(until), labels: {} },
    silent: [
      { title: "three quarters of what is allowed", every: "5s", series: made(2500, 0.75 * bound, over), at: at(until) },
      { title: "it was, and is over", every: "5s", series: made(2500, 1.9 * bound, over, until, 0), at: at(over) },
      { title: "a short burst", every: "5s", series: made(2500, 0, over, until, 1.5 * bound), at: at(over) },
      { title: "hardly anybody is there", every: "5s", series: made(50, 1.5 * bound, over), at: at(until) },
    ],
  };
}

/** The same for the slow windows; steps are as long as the wait allows. */
function overDays({ long, short, lasts }, bound, made) {
  const step = { "2m": 0.5, "15m": 1, "1h": 5, "3h": 15 }[lasts];
  const wait = minutes(lasts);
  const steps = Math.ceil((2 * wait + 2 * minutes(short) + minutes(long)) / step);
  const turned = Math.ceil((wait + minutes(short)) / step) + 4;
  const late = time(Math.round((1.7 * wait) / step) * step);
  const burst = Math.ceil(minutes(long) / step);
  const dragged = burst + Math.ceil((minutes(short) / 3 + wait) / step) + 3;
  return {
    fires: { title: `1.4 times what ${long} allows`, every: time(step), series: made(6000, 1.4 * bound, steps), quiet: time(wait / 2), at: late, labels: {} },
    silent: [
      { title: "three quarters of it", every: time(step), series: made(6000, 0.75 * bound, steps), at: late },
      { title: "it was, and is over", every: time(step), series: made(6000, 4 * bound, steps, turned, 0), at: time(turned * step + minutes(short) + 2 * step) },
      { title: "a short burst", every: time(step), series: made(6000, 0, dragged, burst, 3 * bound), at: time(dragged * step) },
    ],
  };
}

function burns(name, record, slo, allowed, what, made) {
  return BURN.map((burn) => {
    const bound = exact(burn.factor * allowed);
    return {
      name, slo, dashboard: "slo", severity: burn.severity, for: burn.lasts,
      labels: { long: burn.long, short: burn.short },
      lhs: [`${record}:rate${burn.long}`, `${record}:rate${burn.short}`], op: ">", bound,
      summary: `${what} spend the budget of 30 days ${burn.factor} times too fast`,
      description: `{{ $value | humanizePercentage }} over ${burn.long}, and as much over ${burn.short}.`,
      ...overDays(burn, bound, made),
    };
  });
}

const PAYMENT = (le) => `stampede_workflow_duration_seconds_bucket{workflow="payment",le="${le}"}`;
const PAYMENTS = 'stampede_workflow_duration_seconds_count{workflow="payment"}';

export default [
  {
    name: "StampedeCheckoutSaleBudgetFast", slo: "checkout-availability", dashboard: "war-room", severity: "page", labels: { long: "1m", short: "20s" },
    lhs: ["stampede:checkout_error_ratio:rate1m", "stampede:checkout_error_ratio:rate20s"], op: ">", bound: exact(LIMITS.errorsFast), gate: busy,
    summary: "Checkout errors eat a fifth of a half-hour sale's budget per minute",
    description: "{{ $value | humanizePercentage }} of the purchases over 1m, and as many over 20s.",
    ...inSale(LIMITS.errorsFast, "1m", "20s", errors),
  },
  {
    name: "StampedeCheckoutSaleBudgetSlow", slo: "checkout-availability", dashboard: "war-room", severity: "page", labels: { long: "5m", short: "1m" },
    lhs: ["stampede:checkout_error_ratio:rate5m", "stampede:checkout_error_ratio:rate1m"], op: ">", bound: exact(LIMITS.errorsSlow), gate: busy,
    summary: "Checkout errors eat a third of a half-hour sale's budget in five minutes",
    description: "{{ $value | humanizePercentage }} of the purchases over 5m, and as many over 1m.",
    ...inSale(LIMITS.errorsSlow, "5m", "1m", errors),
  },
  {
    name: "StampedeCheckoutSlowInSale", slo: "checkout-latency", dashboard: "war-room", severity: "page", labels: { long: "1m", short: "20s" },
    lhs: ["stampede:checkout_slow_ratio:rate1m", "stampede:checkout_slow_ratio:rate20s"], op: ">", bound: exact(LIMITS.slowFast), gate: busy,
    summary: `Too many purchases take longer than ${FAST_SECONDS * 1000} ms during a sale`,
    description: "{{ $value | humanizePercentage }} of them over 1m, and as many over 20s.",
    ...inSale(LIMITS.slowFast, "1m", "20s", slow),
  },
  ...burns("StampedeCheckoutErrorBudgetBurn", "stampede:checkout_error_ratio", "checkout-availability", 1 - AVAILABILITY, "Checkout errors", errors),
  ...burns("StampedeCheckoutLatencyBudgetBurn", "stampede:checkout_slow_ratio", "checkout-latency", 1 - PROMPTNESS, "Slow purchases", slow),
  {
    name: "StampedeSettlementSlow", slo: "settlement", dashboard: "workflows", severity: "page", for: "2m",
    lhs: 'histogram_quantile(0.99, sum by (le) (rate(stampede_workflow_duration_seconds_bucket{job="stampede",workflow="payment"}[5m])))', op: ">", bound: SETTLED_SECONDS,
    // One in a hundred of fewer is nobody.
    gate: 'and on() (sum(increase(stampede_workflow_duration_seconds_count{job="stampede",workflow="payment"}[5m])) > 100)',
    summary: "Payment steps take longer than a minute at p99",
    description: "p99 over 5m is {{ $value | humanizeDuration }}. Buyers wait for their confirmation, and holds are extended meanwhile.",
    fires: { title: "three in a hundred take two minutes", every: "15s", series: { [PAYMENT(60)]: "0+97x40", [PAYMENT(120)]: "0+100x40", [PAYMENT("+Inf")]: "0+100x40", [PAYMENTS]: "0+100x40" }, quiet: "1m30s", at: "3m", labels: {} },
    silent: [
      { title: "they take one", every: "15s", series: { [PAYMENT(30)]: "0+97x40", [PAYMENT(60)]: "0+100x40", [PAYMENT("+Inf")]: "0+100x40", [PAYMENTS]: "0+100x40" }, at: "6m" },
      { title: "one of a few", every: "15s", series: { [PAYMENT(60)]: "0+1x40", [PAYMENT(120)]: "0+2x40", [PAYMENT("+Inf")]: "0+2x40", [PAYMENTS]: "0+2x40" }, at: "6m" },
    ],
  },
];
