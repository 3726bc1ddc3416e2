// A server, a Prometheus with our rules that scrapes it, and what else is wanted, on loopback; and buyers.
import { execFile, execFileSync, spawn } from "node:child_process";
import { createWriteStream, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { root } from "./catalogue.mjs";

const run = promisify(execFile);
/** The program. */
export const stampede = process.env.STAMPEDE;

async function freePorts(count) {
  const servers = Array.from({ length: count }, () => createServer());
  await Promise.all(servers.map((server) => new Promise((done) => server.listen(0, "127.0.0.1", done))));
  const ports = servers.map((server) => server.address().port);
  await Promise.all(servers.map((server) => new Promise((done) => server.close(done))));
  return ports;
}

const answers = (url) => fetch(url).then((answer) => answer.ok, () => false);
/** Looks until there is something to see. How many seconds that took. */
export async function until(what, seconds, look) {
  const began = Date.now();
  for (;;) {
    const found = await look();
    if (found) return (Date.now() - began) / 1000;
    if (Date.now() - began > seconds * 1000) throw new Error(`${what}: not within ${seconds} s`);
    await sleep(250);
  }
}

/** A load that sells out half-way, and judges no latency: others use the machine too. */
const LOAD = {
  version: 1,
  profiles: { laptop: { rate: 1, time: 1 } },
  scenarios: {
    stage: {
      about: "Beside a sale, for the dashboards.",
      stock: { skus: 20, units: 300, zipf: 1 }, arrivals: { kind: "ramping", start_rate: 5, stages: [{ seconds: 10, rate: 25 }, { seconds: 15, rate: 25 }] },
      buyer: { express: 3, cart: 1, hold: 1 }, repeat: { same: 1, other_body: 0 }, drain: true, slo: {}, expect: { sold: "any" },
      invariants: ["oversell", "undersell", "conservation", "double_charge", "lost_order", "evaluated"],
    },
  },
};
/** Passed; or void, when the machine left the generator no time. All else is a fault. */
const LOADED = [0, 4];

/** Where something is played. `servers`: what `dev/services` starts; `perSecond`: buyers, each of one unit of `units`. */
export class Stage {
  #processes = new Set();
  #bought = 0;

  constructor({ servers = [], perSecond = 1, units = 1_000_000 }) {
    this.servers = servers;
    this.perSecond = perSecond;
    this.units = units;
    this.work = mkdtempSync(join(tmpdir(), "stampede-stage."));
    this.data = join(this.work, "data");
  }

  async open() {
    [this.apiPort, this.opsPort, this.promPort, this.loadPort] = await freePorts(4);
    [this.api, this.ops, this.prometheus] = [this.apiPort, this.opsPort, this.promPort].map((port) => `http://127.0.0.1:${port}`);
    this.key = execFileSync(stampede, ["keys", "create", "drill", "--data-dir", this.data], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
    if (this.servers.length > 0) this.services();
    await this.start();
    await this.#fill();
    const config = readFileSync(`${root}grafana/prometheus/prometheus.yml`, "utf8")
      .replace(/(scrape|evaluation)_interval: .*/g, "$1_interval: 1s").replace("stampede:8081", `127.0.0.1:${this.opsPort}`).replace("host.docker.internal:9464", `127.0.0.1:${this.loadPort}`).replace("/etc/prometheus/rules", `${root}grafana/prometheus/rules`);
    writeFileSync(join(this.work, "prometheus.yml"), config);
    this.#spawn("prometheus", "prometheus", [`--config.file=${this.work}/prometheus.yml`, `--storage.tsdb.path=${this.work}/tsdb`, `--web.listen-address=127.0.0.1:${this.promPort}`, "--log.level=warn"]);
    await until("Prometheus", 30, () => answers(`${this.prometheus}/-/ready`));
    await this.#scraped();
    this.buying = this.#buy();
  }

  #spawn(name, program, args) {
    const log = createWriteStream(join(this.work, `${name}.log`), { flags: "a" });
    const env = Object.fromEntries(Object.entries(process.env).filter(([variable]) => !variable.startsWith("STAMPEDE")));
    const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"], env });
    child.stdout.pipe(log, { end: false });
    child.stderr.pipe(log, { end: false });
    this.#processes.add(child);
    child.ended = new Promise((done) => child.on("exit", done)).then(() => this.#processes.delete(child));
    return child;
  }

  /** Starts, or starts again, what `dev/services` has. */
  services() {
    execFileSync(`${root}dev/services`, ["up", ...this.servers, "--dir", join(this.work, "services"), "--discard", "--while", String(process.pid)], { stdio: ["ignore", "ignore", "ignore"] });
    const values = Object.fromEntries(readFileSync(join(this.work, "services/services.env"), "utf8").split("\n").filter((line) => /^\w+=/.test(line)).map((line) => line.split(/=(.*)/s)));
    this.values = values;
    this.own = [];
    if (this.servers.includes("redis")) this.own.push("--cache=redis", `--redis-url=${values.REDIS_URL}`, "--redis-reads-max-age=1s", "--limits-address=10000/1s");
    if (this.servers.includes("rabbitmq")) this.own.push("--broker=rabbitmq", `--rabbitmq-url=${values.AMQP_URL}`);
  }

  killService(name) {
    process.kill(Number(this.values[name]), "SIGKILL");
  }

  async start(...flags) {
    const args = ["serve", "--data-dir", this.data, "--api-bind", `127.0.0.1:${this.apiPort}`, "--ops-bind", `127.0.0.1:${this.opsPort}`, "--holds-ttl=5m", ...(this.own ?? []), ...flags];
    this.server = this.#spawn("server", stampede, args);
    // It need not be ready: that may be what the drill is about.
    await until("the server", 60, () => answers(`${this.ops}/health/live`));
  }

  /** A short `stampede load` beside the buyers. Says when it is over how it ended, if that was badly. */
  async load() {
    const scenarios = join(this.work, "load.json");
    writeFileSync(scenarios, JSON.stringify(LOAD));
    const child = this.#spawn("load", stampede, ["load", "stage", "--scenarios", scenarios, "--url", this.api, "--key", this.key, "--metrics", `127.0.0.1:${this.loadPort}`, "--out", join(this.work, "load")]);
    await child.ended;
    return LOADED.includes(child.exitCode) ? undefined : `stampede load: exit ${child.exitCode}: ${readFileSync(join(this.work, "load.log"), "utf8")}`;
  }

  async kill() {
    this.server.kill("SIGKILL");
    await this.server.ended;
  }

  async restart(...flags) {
    await this.kill();
    await this.start(...flags);
  }

  #post(path, body, key, more = {}) {
    return fetch(this.api + path, { method: more.method ?? "POST", headers: { "content-type": "application/json", authorization: `Bearer ${this.key}`, ...(key === undefined ? {} : { "idempotency-key": `"${key}"` }) }, body: JSON.stringify(body), signal: AbortSignal.timeout(10_000) });
  }

  async #fill() {
    await until("readiness", 30, () => answers(`${this.ops}/health/ready`));
    await this.#post("/v1/skus/hoodie", { seller: "acme", price: { amount: 1999, currency: "EUR" } }, undefined, { method: "PUT" });
    const received = await this.#post("/v1/skus/hoodie/receipts", { location: "berlin", units: this.units }, "fill");
    if (!received.ok) throw new Error(`the stock: ${await received.text()}`);
  }

  #order(key, buyer) {
    return this.#post("/v1/orders", { buyer, payment_token: "tok_ok", lines: [{ sku: "hoodie", units: 1 }] }, key);
  }

  /** Buyers come all the time, whatever they are answered. */
  async #buy() {
    while (!this.closing) {
      const n = (this.#bought += 1);
      void this.#order(`key-${n}`, `buyer-${n}`).then((answer) => answer.arrayBuffer(), () => {});
      void fetch(`${this.api}/v1/skus/hoodie/availability`).then((answer) => answer.arrayBuffer(), () => {});
      await sleep(1000 / this.perSecond);
    }
  }

  /** Until nothing is left. */
  soldOut() {
    const left = () => fetch(`${this.api}/v1/skus/hoodie/availability`).then((answer) => answer.json()).then(({ available }) => available);
    return until("it does not sell out", 120, async () => (await left()) === 0);
  }

  async reuseKeys(count) {
    for (let n = 0; n < count; n += 1) await this.#order("one-key", `buyer-${n}`).then((answer) => answer.arrayBuffer());
  }

  /** Until Prometheus knows how it was before anything was done. */
  #scraped() {
    const query = new URLSearchParams({ query: 'count_over_time(up{job="stampede"}[1m]) >= 5' });
    return until("no scrapes", 60, async () => (await fetch(`${this.prometheus}/api/v1/query?${query}`).then((answer) => answer.json())).data.result.length > 0);
  }

  async firing() {
    const body = await fetch(`${this.prometheus}/api/v1/alerts`).then((answer) => answer.json());
    return new Set(body.data.alerts.filter(({ state }) => state === "firing").map(({ labels }) => labels.alertname));
  }

  /** Runs what a runbook says to type. Says how many commands there were; one that cannot be typed like that is an error. */
  async commands(alert) {
    const text = readFileSync(`${root}docs/runbooks/${alert}.md`, "utf8");
    const lines = [...text.matchAll(/```sh\n([\s\S]*?)```/g)].flatMap(([, block]) => block.trim().split("\n"));
    const env = { ...process.env, PATH: `${stampede.replace(/\/[^/]*$/, "")}:${process.env.PATH}`, API: this.api, OPS: this.ops, KEY: this.key };
    delete env.STAMPEDE;
    for (const line of lines) {
      const typed = line.replaceAll("DATA_DIR", this.data).replaceAll("127.0.0.1:9090", `127.0.0.1:${this.opsPort}`).replaceAll(/\bURL\b/g, this.values?.REDIS_URL ?? this.values?.AMQP_URL ?? "");
      try {
        await run("bash", ["-c", typed], { env, cwd: this.work, timeout: 60_000, maxBuffer: 1 << 26 });
      } catch (error) {
        // That something is wrong is what a command may well say; that it is none, it may not.
        if ([2, 126, 127].includes(error.code) || error.killed) throw new Error(`${alert}: ${typed}: exit ${error.code}: ${error.stderr}`);
      }
    }
    return lines.length;
  }

  async close(keep) {
    this.closing = true;
    await this.buying;
    const left = [...this.#processes];
    for (const child of left) child.kill("SIGKILL");
    await Promise.all(left.map((child) => child.ended));
    if (this.servers.length > 0) await run(`${root}dev/services`, ["down", "--dir", join(this.work, "services"), "--discard"]).catch(() => {});
    if (!keep) rmSync(this.work, { recursive: true, force: true });
  }
}
