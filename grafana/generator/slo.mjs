// The promises, and the limits that alerts watch and panels draw: each number is written here and nowhere else.

/** Of purchases that were valid and let in, so many must not fail by our fault. */
export const AVAILABILITY = 0.9995;
/** So many of them must be answered within `FAST_SECONDS`, which is a bound of the histogram. */
export const PROMPTNESS = 0.99;
export const FAST_SECONDS = 0.1;
/** A payment step has its definite answer within this, at p99. */
export const SETTLED_SECONDS = 60;

/**
 * Windows and factors. In a sale of half an hour, factor 6 over one minute spends a fifth of the sale's budget and factor
 * 2 over five minutes a third; the four others spend 2 %, 5 %, 10 % and 10 % of thirty days' budget in their window.
 */
export const BURN = [
  { long: "1h", short: "5m", factor: 14.4, lasts: "2m", severity: "page" },
  { long: "6h", short: "30m", factor: 6, lasts: "15m", severity: "page" },
  { long: "1d", short: "2h", factor: 3, lasts: "1h", severity: "ticket" },
  { long: "3d", short: "6h", factor: 1, lasts: "3h", severity: "ticket" },
];
/** Below so many purchases in a minute one failure is no rate: no alert of a sale. */
export const TRAFFIC = 1000;

export const LIMITS = {
  errorsFast: 6 * (1 - AVAILABILITY),
  errorsSlow: 2 * (1 - AVAILABILITY),
  slowFast: 6 * (1 - PROMPTNESS),
  permits: 0.8,
  shed: 0.05,
  skew: 4,
  journal: 0.025,
  journalCql: 0.25,
  // Half of log.queue-records.
  waiting: 32_768,
  // Readiness fails at a million.
  lag: 250_000,
  storeErrors: 0.01,
  queueAge: 60,
  queueDepth: 1000,
  payments: 0.9,
  // Of the load generator's one thread: a run above it is void.
  generator: 0.8,
  // An arrival that starts a second late is dropped.
  lateness: 1,
  // The two sides of a comparison that agree were looked at with the last scrape, or nearly.
  reconciled: 300,
  // prometheus.yml refuses a scrape with more than 5000.
  series: 4000,
};

/** A fraction without the dust of binary arithmetic. */
export const exact = (value) => Number(value.toPrecision(12));
