// How every panel and dashboard looks: one style, written once.

/** Labels that each query is narrowed to by the variables of its dashboard. */
const SCOPE = 'job=~"$job",instance=~"$instance"';
/** A selector: `of("stampede_orders_total", 'outcome="placed"')`. */
export const of = (metric, labels) => `${metric}{${SCOPE}${labels === undefined ? "" : `,${labels}`}}`;
/** Per second. */
export const rate = (metric, labels) => `rate(${of(metric, labels)}[$__rate_interval])`;
/** Grown since the left edge of the dashboard. */
export const grown = (metric, labels) => `increase(${of(metric, labels)}[$__range])`;
/** The same of the load generator, which is a job of its own beside the servers that are looked at. */
export const ofLoad = (metric, labels) => `${metric}{job="stampede-load"${labels === undefined ? "" : `,${labels}`}}`;
export const rateOfLoad = (metric, labels) => `rate(${ofLoad(metric, labels)}[$__rate_interval])`;
const quantileOf = (rate) => (q, metric, labels, ...by) => `histogram_quantile(${q}, sum by (${["le", ...by].join(", ")}) (${rate(`${metric}_bucket`, labels)}))`;
/** A quantile of a histogram, by further labels. */
export const quantile = quantileOf(rate);
export const quantileOfLoad = quantileOf(rateOfLoad);

const DATASOURCE = { type: "prometheus", uid: "prometheus" };
const GREEN = "green";
const AMBER = "#EAB839";
const RED = "red";
export const COLUMNS = 24;

/** Thresholds: green, then amber from `warn` on, red from `bad` on; or red below `least`. */
function thresholds({ warn, bad, least }) {
  if (least !== undefined) return [{ color: RED, value: null }, { color: GREEN, value: least }];
  const steps = [{ color: GREEN, value: null }];
  if (warn !== undefined) steps.push({ color: AMBER, value: warn });
  if (bad !== undefined) steps.push({ color: RED, value: bad });
  return steps;
}

const LEGEND = { displayMode: "list", placement: "bottom", showLegend: true, calcs: [] };
const REDUCE = { calcs: ["lastNotNull"], fields: "", values: false };

const KINDS = {
  timeseries: ({ stacked, bad, warn, least }) => ({
    custom: {
      drawStyle: "line", lineInterpolation: "linear", lineWidth: 1, fillOpacity: stacked ? 40 : 8, showPoints: "never", spanNulls: false,
      stacking: { mode: stacked ? "normal" : "none", group: "A" },
      thresholdsStyle: { mode: bad ?? warn ?? least ? "dashed" : "off" },
    },
    options: { legend: LEGEND, tooltip: { mode: "multi", sort: "desc" } },
  }),
  stat: ({ bad, warn, least }) => ({
    options: { colorMode: bad ?? warn ?? least ? "background" : "value", graphMode: "area", justifyMode: "auto", orientation: "auto", textMode: "auto", wideLayout: true, showPercentChange: false, percentChangeColorMode: "standard", reduceOptions: REDUCE },
  }),
  gauge: () => ({ options: { orientation: "auto", sizing: "auto", minVizWidth: 75, minVizHeight: 75, showThresholdLabels: false, showThresholdMarkers: true, reduceOptions: REDUCE } }),
  bargauge: () => ({ options: { displayMode: "gradient", orientation: "horizontal", valueMode: "color", namePlacement: "auto", showUnfilled: true, sizing: "auto", minVizWidth: 8, minVizHeight: 16, maxVizHeight: 300, legend: { ...LEGEND, showLegend: false }, reduceOptions: REDUCE } }),
  heatmap: () => ({
    options: { calculate: false, yAxis: { unit: "s" }, color: { mode: "scheme", scheme: "Turbo", exponent: 0.5, steps: 64, fill: "dark-orange", reverse: false }, cellGap: 1, showValue: "never", exemplars: { color: "rgba(255,0,255,0.7)" }, tooltip: { mode: "single" }, legend: { show: true } },
  }),
  "state-timeline": () => ({ custom: { fillOpacity: 80, lineWidth: 0 }, options: { mergeValues: true, showValue: "never", rowHeight: 0.9, legend: LEGEND, tooltip: { mode: "single", sort: "none" } } }),
  table: () => ({ options: { frameIndex: 0, showHeader: true, cellHeight: "sm" } }),
};

/** In docker-compose.yml Grafana serves docs/runbooks there. */
const RUNBOOKS = "/public/runbooks";

const link = (title, url, targetBlank) => ({ title, url, targetBlank, type: "link", icon: "external link", tooltip: "", tags: [], asDropdown: false, includeVars: false, keepTime: false });
const links = ({ alerts = [], next }) => [
  ...alerts.map((name) => link(`Runbook: ${name}`, `${RUNBOOKS}/${name}.md`, true)),
  ...(next === undefined ? [] : [link(`Dashboard: ${next}`, `/d/stampede-${next}?\${__url_time_range}&\${__all_variables}`, false)]),
];

/** One panel as Grafana stores it. `queries`: expression and legend, in pairs. */
function panel(spec, id, gridPos) {
  const { custom, options } = KINDS[spec.kind](spec);
  const instant = ["table", "bargauge"].includes(spec.kind);
  return {
    id, gridPos, type: spec.kind, title: spec.title, description: spec.description, datasource: DATASOURCE,
    fieldConfig: {
      defaults: {
        unit: spec.unit, thresholds: { mode: "absolute", steps: thresholds(spec) }, color: { mode: spec.kind === "timeseries" ? "palette-classic" : "thresholds" },
        ...(spec.min === undefined ? {} : { min: spec.min }), ...(spec.max === undefined ? {} : { max: spec.max }),
        ...(spec.decimals === undefined ? {} : { decimals: spec.decimals }), ...(custom === undefined ? {} : { custom }),
      },
      overrides: [],
    },
    options,
    targets: spec.queries.map(([expr, legend], index) => ({
      refId: String.fromCharCode(65 + index), datasource: DATASOURCE, expr, legendFormat: legend ?? "__auto", range: !instant, instant,
      ...(spec.kind === "heatmap" ? { format: "heatmap" } : spec.kind === "table" ? { format: "table" } : {}), exemplar: spec.exemplars === true,
    })),
    links: links(spec),
  };
}

/** What happened, drawn over all panels. */
const ANNOTATIONS = [
  ["Sale begins", "green", "(sum(stampede:orders_placed:rate20s) > 0) unless (sum(stampede:orders_placed:rate20s offset 1m) > 0)"],
  ["Sold out", "orange", '(sum(stampede_units{job=~"$job",state="available"}) == 0) and on() (sum(stampede_units{job=~"$job",state="available"} offset 15s) > 0)'],
  ["Take-over", "purple", 'sum by (instance) (changes(stampede_cql_owner{job=~"$job"}[30s])) > 0'],
  ["Shop paused", "red", 'max by (instance) (stampede_shop_paused{job=~"$job"}) > 0'],
  ["Start or deploy", "blue", 'sum by (instance) (changes(stampede_process_start_time_seconds{job=~"$job"}[1m])) > 0'],
  ["Load test or fault", "red", 'max by (kind) (stampede_scenario_active{job=~"$job"}) == 1'],
];

/** Puts panels beside each other, in the order in which they are told, each `w` columns wide and `h` rows high. */
function layout(specs) {
  let [x, y, height] = [0, 0, 0];
  return specs.map((spec, index) => {
    const { w = 8, h = 7 } = spec;
    if (x + w > COLUMNS) [x, y, height] = [0, y + height, 0];
    const placed = panel(spec, index + 1, { x, y, w, h });
    [x, height] = [x + w, Math.max(height, h)];
    return placed;
  });
}

/** One dashboard as Grafana stores it. */
export function dashboard({ uid, title, description, range = "now-1h", panels }) {
  return {
    uid: `stampede-${uid}`, title: `Stampede: ${title}`, description, tags: ["stampede"], timezone: "browser", editable: true, graphTooltip: 1, schemaVersion: 39, refresh: "5s",
    time: { from: range, to: "now" },
    templating: {
      list: [
        { name: "job", type: "query", label: "Job", datasource: DATASOURCE, query: { query: "label_values(stampede_build_info, job)", refId: "job" }, refresh: 2, includeAll: false, multi: false, current: { text: "stampede", value: "stampede" } },
        { name: "instance", type: "query", label: "Server", datasource: DATASOURCE, query: { query: 'label_values(stampede_build_info{job=~"$job"}, instance)', refId: "instance" }, refresh: 2, includeAll: true, allValue: ".+", multi: true, current: { text: ["All"], value: ["$__all"] } },
      ],
    },
    annotations: {
      list: ANNOTATIONS.map(([name, iconColor, expr]) => ({ name, iconColor, expr, enable: true, hide: false, datasource: DATASOURCE })),
    },
    links: [{ title: "Stampede", type: "dashboards", tags: ["stampede"], asDropdown: true, includeVars: true, keepTime: true, icon: "external link", targetBlank: false, tooltip: "", url: "" }],
    panels: layout(panels),
  };
}
