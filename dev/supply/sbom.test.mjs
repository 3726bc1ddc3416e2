// The bill of materials of a small made-up tree: what is in it, and that each thing wrong with one is noticed.
import assert from "node:assert/strict";
import { test } from "node:test";
import { againstCargo, againstSchema } from "./check.mjs";
import { readLock, readTree } from "./cargo.mjs";
import { bom } from "./sbom.mjs";

const TREE = `0stampede v0.1.0 (/src)
1left v1.2.3
2deep v0.1.0+meta.1
1right v2.0.0 (proc-macro)
2deep v0.1.0+meta.1 (*)
`;
const LOCK = `version = 4

[[package]]
name = "stampede"
version = "0.1.0"
dependencies = ["left"]
${[["left", "1.2.3"], ["deep", "0.1.0+meta.1"], ["right", "2.0.0"], ["unused", "9.9.9"]]
  .map(([name, version], n) => `
[[package]]
name = "${name}"
version = "${version}"
source = "registry+https://github.com/rust-lang/crates.io-index"
checksum = "${String(n).repeat(64)}"
`).join("")}`;
const needs = readTree(TREE);
const locked = readLock(LOCK);
const known = new Map([...needs.keys()].map((crate) => {
  const [name, version] = crate.split(" ");
  return [crate, { name, version, license: name === "left" ? "MIT/Apache-2.0" : "Apache-2.0", description: `About ${name}`, repository: `https://example.invalid/${name}` }];
}));
const made = (more = {}) => bom({ needs, known, locked, at: "0123456789ab", epoch: undefined, ...more });
const changed = (change) => {
  const parsed = JSON.parse(made());
  change(parsed);
  return JSON.stringify(parsed);
};

test("a tree is read with its edges, also where it is cut short", () => {
  assert.deepEqual([...needs.keys()], ["stampede 0.1.0", "left 1.2.3", "deep 0.1.0+meta.1", "right 2.0.0"]);
  assert.deepEqual([...needs.get("stampede 0.1.0")], ["left 1.2.3", "right 2.0.0"]);
  assert.deepEqual([...needs.get("right 2.0.0")], ["deep 0.1.0+meta.1"]);
  assert.throws(() => readTree("no tree at all"));
});

test("what is written is what is built in", async () => {
  const text = made();
  assert.deepEqual([...(await againstSchema(text)), ...againstCargo(text, needs, locked)], []);
  const { metadata, components } = JSON.parse(text);
  assert.equal(metadata.component.version, "0.1.0");
  assert.deepEqual(metadata.component.properties, [{ name: "stampede:commit", value: "0123456789ab" }]);
  const left = components.find(({ name }) => name === "left");
  assert.deepEqual([left.purl, left.licenses, left.hashes], ["pkg:cargo/left@1.2.3", [{ expression: "MIT OR Apache-2.0" }], [{ alg: "SHA-256", content: "0".repeat(64) }]]);
});

test("the same bytes, in whatever order cargo tells the crates", () => {
  assert.equal(made(), made());
  assert.equal(made({ needs: new Map([...needs].reverse()) }), made());
  assert.equal(JSON.parse(made()).metadata.timestamp, undefined);
  assert.equal(JSON.parse(made({ epoch: "1700000000" })).metadata.timestamp, "2023-11-14T22:13:20.000Z");
  assert.throws(() => made({ epoch: "yesterday" }), /SOURCE_DATE_EPOCH/);
});

test("each thing wrong is noticed", () => {
  const wrong = [
    ["left 1.2.3 is built in and missing", (one) => one.components.splice(one.components.findIndex(({ name }) => name === "left"), 1)],
    ["unused 9.9.9 is told and not built in", (one) => one.components.push({ type: "library", name: "unused", version: "9.9.9", purl: "pkg:cargo/unused@9.9.9", "bom-ref": "x" })],
    ["left 1.2.4 is told and not built in", (one) => (one.components.find(({ name }) => name === "left").version = "1.2.4")],
    ["deep 0.1.0+meta.1: its hash", (one) => (one.components.find(({ name }) => name === "deep").hashes[0].content = "f".repeat(64))],
    ["right 2.0.0: no licence", (one) => delete one.components.find(({ name }) => name === "right").licenses],
    ["right 2.0.0: purl", (one) => (one.components.find(({ name }) => name === "right").purl = "pkg:npm/right@2.0.0")],
    ["a crate is told twice", (one) => one.components.push(one.components[0])],
    ["right 2.0.0: needs deep", (one) => delete one.dependencies.find(({ ref }) => ref.includes("right")).dependsOn],
    ["it is about left", (one) => (one.metadata.component.name = "left")],
  ];
  for (const [what, change] of wrong) {
    const complaints = againstCargo(changed(change), needs, locked);
    assert.ok(complaints.some((complaint) => complaint.startsWith(what)), `${what}: ${complaints.join("; ")}`);
  }
});

test("what is no CycloneDX is noticed", async () => {
  for (const change of [(one) => (one.specVersion = 1.6), (one) => (one.components[0].type = "thing"), (one) => (one.colour = "red"), (one) => (one.components[0].hashes = [{ alg: "CRC", content: "0" }])]) {
    assert.notDeepEqual(await againstSchema(changed(change)), [], String(change));
  }
});

test("a crate that Cargo.lock does not know, or that comes from elsewhere, is an error", () => {
  assert.throws(() => bom({ needs: new Map([...needs, ["ghost 1.0.0", new Set()]]), known, locked }), /ghost 1.0.0/);
  assert.throws(() => readLock(LOCK.replace("registry+https://github.com/rust-lang/crates.io-index", "git+https://example.invalid/left")), /left comes from/);
});
