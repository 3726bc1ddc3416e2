// Fires alerts for real: a server, a Prometheus with our rules, buyers, and a fault. The alert must be seen firing, the
// commands of its runbook are run, the fault is taken back, and the alert must clear. `dev/drill NAME...`.
import { Stage, until } from "./stage.mjs";

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

async function drill(name) {
  const plan = DRILLS[name];
  const stage = new Stage(plan);
  let well = false;
  try {
    await stage.open();
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
