// A dashboard as SVG, near enough to Grafana's look that a reader knows what to expect: lines, bars and numbers from real
// answers. Nothing here is interactive.

const CELL = { w: 48, h: 30 };
const COLOURS = ["#73BF69", "#F2CC0C", "#8AB8FF", "#FF780A", "#F2495C", "#5794F2", "#B877D9", "#705DA0", "#37872D", "#FADE2A", "#447EBC", "#C15C17"];
const escape = (text) => String(text).replace(/[&<>"]/g, (sign) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[sign]);
const finite = (values) => values.filter(([, number]) => Number.isFinite(number));
const last = (series) => finite(series.values).at(-1)?.[1];

/** A number in its unit. */
export function written(value, unit) {
  if (value === undefined) return "–";
  const short = (number, steps, base) => {
    let index = 0;
    while (Math.abs(number) >= base && index < steps.length - 1) [number, index] = [number / base, index + 1];
    return `${Number(number.toPrecision(3))}${steps[index]}`;
  };
  switch (unit) {
    case "percentunit": return `${Number((value * 100).toPrecision(4))} %`;
    case "s": return value === 0 ? "0 s" : Math.abs(value) < 1e-3 ? `${Number((value * 1e6).toPrecision(3))} µs` : Math.abs(value) < 1 ? `${Number((value * 1e3).toPrecision(3))} ms` : value < 120 ? `${Number(value.toPrecision(3))} s` : `${Number((value / 60).toPrecision(3))} min`;
    case "ms": return `${Number(value.toPrecision(3))} ms`;
    case "bytes": return short(value, [" B", " KiB", " MiB", " GiB"], 1024);
    case "Bps": return short(value, [" B/s", " kB/s", " MB/s"], 1000);
    case "ops": return `${short(value, ["", " K", " M"], 1000)}/s`;
    default: return short(value, ["", " K", " M", " G"], 1000);
  }
}

/** The colour that the thresholds give a value. */
function colour(value, { thresholds }) {
  const step = thresholds.steps.findLast((one) => one.value === null || value >= one.value);
  return { green: "#73BF69", red: "#F2495C" }[step?.color] ?? step?.color ?? "#73BF69";
}

const text = (x, y, words, more = "") => `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" ${more}>${escape(words)}</text>`;

function lines({ panel, series }, box, [from, to]) {
  const { unit, custom, min, max } = panel.fieldConfig.defaults;
  const stacked = custom?.stacking?.mode === "normal";
  const shown = series.slice(0, 12).map((one) => ({ ...one, values: finite(one.values) }));
  let tracks = shown.map(({ values }) => values);
  if (stacked) {
    const sums = new Map();
    tracks = tracks.map((values) => values.map(([at, value]) => [at, sums.set(at, (sums.get(at) ?? 0) + value).get(at)]));
  }
  const all = tracks.flat().map(([, value]) => value);
  const low = min ?? Math.min(0, ...all);
  const high = max ?? (Math.max(low + 1e-9, ...all) * 1.05 || 1);
  const x = (at) => box.x + 44 + ((at - from) / (to - from)) * (box.w - 52);
  const y = (value) => box.y + box.h - 30 - ((value - low) / (high - low)) * (box.h - 56);
  const parts = [0, 0.5, 1].map((part) => {
    const value = low + part * (high - low);
    return `<line x1="${x(from)}" x2="${x(to)}" y1="${y(value).toFixed(1)}" y2="${y(value).toFixed(1)}" stroke="#2c3235"/>${text(box.x + 40, y(value) + 3, written(value, unit), 'text-anchor="end" class="small"')}`;
  });
  tracks.forEach((values, index) => {
    if (values.length === 0) return;
    const path = values.map(([at, value], nth) => `${nth === 0 ? "M" : "L"}${x(at).toFixed(1)},${y(value).toFixed(1)}`).join("");
    parts.push(`<path d="${path}" fill="none" stroke="${COLOURS[index % COLOURS.length]}" stroke-width="1.2"/>`);
  });
  let left = box.x + 44;
  for (const [index, { legend }] of shown.entries()) {
    const words = legend === "__auto" || legend === "" ? "value" : legend;
    if (left + words.length * 5 > box.x + box.w - 10) break;
    parts.push(`<rect x="${left}" y="${box.y + box.h - 15}" width="8" height="3" fill="${COLOURS[index % COLOURS.length]}"/>${text(left + 11, box.y + box.h - 11, words, 'class="small"')}`);
    left += 20 + words.length * 5;
  }
  return parts.join("");
}

function heat({ series }, box, [from, to]) {
  const rows = series.map((one) => ({ bound: Number(one.metric.le), values: new Map(one.values) })).filter(({ bound }) => !Number.isNaN(bound)).sort((a, b) => a.bound - b.bound);
  const cells = [];
  let most = 0;
  for (const [row, { values }] of rows.entries()) {
    for (const [at, value] of values) {
      const own = value - (row === 0 ? 0 : rows[row - 1].values.get(at) ?? 0);
      if (own > 0) cells.push({ row, at, own });
      most = Math.max(most, own);
    }
  }
  const [w, h] = [(box.w - 52) / (to - from), (box.h - 40) / Math.max(rows.length, 1)];
  const parts = cells.map(({ row, at, own }) => `<rect x="${(box.x + 44 + (at - from) * w).toFixed(1)}" y="${(box.y + box.h - 14 - (row + 1) * h).toFixed(1)}" width="${(w + 0.3).toFixed(1)}" height="${h.toFixed(1)}" fill="#FF780A" opacity="${(0.15 + 0.85 * Math.sqrt(own / most)).toFixed(2)}"/>`);
  rows.forEach(({ bound }, row) => row % 4 === 0 && parts.push(text(box.x + 40, box.y + box.h - 14 - row * h, bound, 'text-anchor="end" class="small"')));
  return parts.join("");
}

function number({ panel, series }, box) {
  const { unit } = panel.fieldConfig.defaults;
  const shown = series.slice(0, 4);
  return shown.map((one, index) => {
    const value = last(one);
    const x = box.x + (box.w / shown.length) * (index + 0.5);
    const label = shown.length > 1 ? text(x, box.y + box.h - 12, one.legend, 'text-anchor="middle" class="small"') : "";
    return `${text(x, box.y + box.h / 2 + 18, written(value, unit), `text-anchor="middle" class="big" fill="${colour(value, panel.fieldConfig.defaults)}"`)}${label}`;
  }).join("");
}

function bars({ panel, series }, box) {
  const values = series.map((one) => [one.legend || Object.values(one.metric).join(" "), last(one) ?? 0]).slice(0, 8);
  const most = Math.max(...values.map(([, value]) => value), 1e-9);
  const h = (box.h - 34) / Math.max(values.length, 1);
  return values.map(([name, value], index) => {
    const y = box.y + 28 + index * h;
    const w = Math.max(2, (value / most) * (box.w - 190));
    return `${text(box.x + 10, y + h / 2 + 3, name, 'class="small"')}<rect x="${box.x + 120}" y="${y + 3}" width="${w.toFixed(1)}" height="${Math.min(h - 6, 16).toFixed(1)}" fill="${colour(value, panel.fieldConfig.defaults)}"/>${text(box.x + 126 + w, y + h / 2 + 3, written(value, panel.fieldConfig.defaults.unit), 'class="small"')}`;
  }).join("");
}

const KINDS = { timeseries: lines, heatmap: heat, stat: number, gauge: number, bargauge: bars, table: bars, "state-timeline": bars };

/** The whole dashboard. `answers`: each panel with its series. */
export function draw(board, answers, span) {
  const width = 24 * CELL.w;
  const height = Math.max(...board.panels.map(({ gridPos }) => gridPos.y + gridPos.h)) * CELL.h + 44;
  const drawn = answers.map((answer) => {
    const { x, y, w, h } = answer.panel.gridPos;
    const box = { x: x * CELL.w + 4, y: y * CELL.h + 44, w: w * CELL.w - 8, h: h * CELL.h - 8 };
    return `<g><rect x="${box.x}" y="${box.y}" width="${box.w}" height="${box.h}" rx="2" fill="#181b1f" stroke="#2c3235"/>${text(box.x + 10, box.y + 17, answer.panel.title, 'class="title"')}${KINDS[answer.panel.type](answer, box, span)}</g>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="Inter, Helvetica, Arial, sans-serif" fill="#ccccdc"><style>.small{font-size:9px;fill:#9fa7b3}.title{font-size:12px;font-weight:500}.big{font-size:26px;font-weight:600}</style><rect width="${width}" height="${height}" fill="#111217"/>${text(8, 28, board.title, 'font-size="18" font-weight="500"')}${drawn.join("")}</svg>\n`;
}
