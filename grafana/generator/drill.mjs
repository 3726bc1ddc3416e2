// Fires alerts for real: a server, a Prometheus with our rules, buyers, and a fault. The alert must be seen firing, the
// commands of its runbook are run, the fault is taken back, and the alert must clear. `dev/drill NAME...`.
import { execFile, execFileSync, spawn } from "node:child_process";
import { createWriteStream, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { root } from "./catalogue.mjs";

const run = promisify(execFile);
const stampede = process.env.STAMPEDE;
/** Until an alert fires, and until it clears: the longest window of a drilled alert and its `for`, and some. */
const FIRES = 240;
const CLEARS = 480;

/** Faults by name: what they fire, how the server is told, what is done to it. */
export const DRILLS = {
  "instance-down": { alerts: ["StampedeInstanceDown", "StampedeNoInstances"], inject: (one) => one.kill(), repair: (one) => one.start() },
  "disk-full": { alerts: ["StampedeDiskFull"], inject: (one) => one.restart("--store-keep-free=1000000GiB"), repair: (one) => one.restart() },
  "slow-disk": { alerts: ["StampedeJournalSlow", "StampedeCheckoutSlowInSale"], perSecond: 40, inject: (one) => one.restart("--log-sync-delay=150ms"), repair: (one) => one.restart() },
  "provider-away": { alerts: ["StampedePaymentProviderDegraded"], perSecond: 5, inject: (one) => one.restart("--faults=payment=timeout:100%", "--payment-timeout=500ms"), repair: (one) => one.restart() },
  "too-many-buyers": { alerts: ["StampedePermitsSaturated", "StampedeShedding"], perSecond: 80, inject: (one) => one.restart("--permits=2", "--log-sync-delay=150ms"), repair: (one) => one.restart() },
  "reused-keys": { alerts: ["StampedeIdempotencyMismatch"], inject: (one) => one.reuseKeys(40), repair: () => {} },
  "redis-away": { alerts: ["StampedeBreakerOpen"], perSecond: 10, servers: ["redis"], inject: (one) => one.killService("REDIS_PID"), repair: (one) => one.services() },
  "rabbitmq-away": { alerts: ["StampedeOutboxStuck"], perSecond: 5, servers: ["rabbitmq"], inject: (one) => one.killService("RABBITMQ_PID"), repair: (one) => one.services() },
};

async function freePorts(count) {
  const servers = Array.from({ length: count }, () => createServer());
  await Promise.all(servers.map((server) => new Promise((done) => server.listen(0, "127.0.0.1", done))));
  const ports = servers.map((server) => server.address().port);
  await Promise.all(servers.map((server) => new Promise((done) => server.close(done))));
  return ports;
}

const answers = (url) => fetch(url).then((answer) => answer.ok, () => false);
async function until(what, seconds, look) {
  const began = Date.now();
  for (;;) {
    const found = await look();
    if (found) return (Date.now() - began) / 1000;
    if (Date.now() - began > seconds * 1000) throw new Error(`${what}: not within ${seconds} s`);
    await sleep(250);
  }
}

/** What a drill is played on. */
class Stage {
  #processes = new Set();
  #bought = 0;

  constructor({ servers = [], perSecond = 1 }) {
    this.servers = servers;
    this.perSecond = perSecond;
    this.work = mkdtempSync(join(tmpdir(), "stampede-drill."));
    this.data = join(this.work, "data");
    this.flags = [];
  }

  async open() {
    [this.apiPort, this.opsPort, this.promPort] = await freePorts(3);
    [this.api, this.ops, this.prometheus] = [this.apiPort, this.opsPort, this.promPort].map((port) => `http://127.0.0.1:${port}`);
    this.key = execFileSync(stampede, ["keys", "create", "drill", "--data-dir", this.data], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
    if (this.servers.length > 0) this.services();
    await this.start();
    await this.#fill();
    const config = readFileSync(`${root}grafana/prometheus/prometheus.yml`, "utf8")
      .replace(/(scrape|evaluation)_interval: .*/g, "$1_interval: 1s").replace("stampede:8081", `127.0.0.1:${this.opsPort}`).replace("/etc/prometheus/rules", `${root}grafana/prometheus/rules`);
    writeFileSync(join(this.work, "prometheus.yml"), config);
    this.#spawn("prometheus", "prometheus", [`--config.file=${this.work}/prometheus.yml`, `--storage.tsdb.path=${this.work}/tsdb`, `--web.listen-address=127.0.0.1:${this.promPort}`, "--log.level=warn"]);
    await until("Prometheus", 30, () => answers(`${this.prometheus}/-/ready`));
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
    const received = await this.#post("/v1/skus/hoodie/receipts", { location: "berlin", units: 1_000_000 }, "fill");
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

  async reuseKeys(count) {
    for (let n = 0; n < count; n += 1) await this.#order("one-key", `buyer-${n}`).then((answer) => answer.arrayBuffer());
  }

  /** Until Prometheus knows how it was before anything was done. */
  seen() {
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

async function drill(name) {
  const plan = DRILLS[name];
  const stage = new Stage(plan);
  let well = false;
  try {
    await stage.open();
    await stage.seen();
    const before = await stage.firing();
    for (const alert of plan.alerts) if (before.has(alert)) throw new Error(`${alert} fires before anything was done`);
    await plan.inject(stage);
    const fired = await Promise.all(plan.alerts.map((alert) => until(`${alert} does not fire`, FIRES, async () => (await stage.firing()).has(alert))));
    let commands = 0;
    for (const alert of plan.alerts) commands += await stage.commands(alert);
    await plan.repair(stage);
    const cleared = await Promise.all(plan.alerts.map((alert) => until(`${alert} does not clear`, CLEARS, async () => !(await stage.firing()).has(alert))));
    plan.alerts.forEach((alert, index) => console.log(`${name.padEnd(16)} ${alert.padEnd(34)} fired after ${fired[index].toFixed(0)} s, cleared ${cleared[index].toFixed(0)} s after the repair`));
    console.log(`${name.padEnd(16)} ${commands} commands of its runbooks were run`);
    well = true;
    return plan.alerts.length;
  } finally {
    if (!well) console.error(`left behind: ${stage.work}`);
    await stage.close(!well);
  }
}

const names = process.argv.slice(2);
const unknown = names.find((name) => !(name in DRILLS));
if (unknown !== undefined) {
  console.error(`there is no drill ${unknown}; there are ${Object.keys(DRILLS).join(", ")}`);
  process.exit(2);
}
let [alerts, failed] = [0, 0];
for (const name of names.length === 0 ? Object.keys(DRILLS) : names) {
  try {
    alerts += await drill(name);
  } catch (error) {
    failed += 1;
    console.error(`${name}: ${error.message}`);
  }
}
console.log(`${alerts} alerts fired and cleared, ${failed} drills failed`);
process.exit(failed === 0 ? 0 : 1);
