// The checks of the manifest can fail: each spoiled one is noticed.
import assert from "node:assert/strict";
import { test } from "node:test";
import { againstRules, againstTypes, manifest, objects } from "./kubernetes.mjs";

const spoiled = (change) => {
  const all = objects(manifest());
  change(Object.fromEntries(all.map((one) => [`${one.kind} ${one.metadata.name}`, one])), all);
  return all;
};
const pod = (named) => named["StatefulSet stampede"].spec.template.spec;

test("the manifest itself is well", () => {
  assert.deepEqual(againstRules(spoiled(() => {})), []);
});

for (const [what, change, says] of [
  ["root", (named) => (pod(named).securityContext.runAsNonRoot = false), /runs as root/],
  ["a file system that can be written", (named) => (pod(named).containers[0].securityContext.readOnlyRootFilesystem = false), /more than it needs/],
  ["an end before the drain", (named) => (pod(named).terminationGracePeriodSeconds = 30), /before it has drained/],
  ["both on one node", (named) => (pod(named).topologySpreadConstraints = []), /one node/],
  ["a volume that is not there", (named) => (pod(named).volumes = []), /no volume secrets/],
  ["a budget for nothing", (named) => (named["PodDisruptionBudget stampede"].spec.selector.matchLabels = { a: "b" }), /selects nothing/],
  ["no policy", (_, all) => all.splice(all.findIndex(({ kind }) => kind === "NetworkPolicy"), 1), /no NetworkPolicy/],
  ["no probe", (named) => delete pod(named).containers[0].readinessProbe, /readinessProbe: missing/],
  ["latest", (named) => (pod(named).containers[0].image = "stampede:latest"), /not latest/],
]) {
  test(`${what} is noticed`, () => assert.match(againstRules(spoiled(change)).join("\n"), says));
}

for (const [what, change] of [
  ["a field that there is not", (named) => (named["StatefulSet stampede"].spec.replica = 2)],
  ["a number that is a text", (named) => (pod(named).terminationGracePeriodSeconds = "40")],
]) {
  test(`${what} is noticed`, () => assert.notDeepEqual(againstTypes(spoiled(change)), []));
}
