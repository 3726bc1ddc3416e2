// The bill of materials of the released binary as CycloneDX JSON: `node dev/supply/sbom.mjs OUT`.
import { Enums, Factories, Models, Serialize, Spec } from "@cyclonedx/cyclonedx-library";
import { PackageURL } from "packageurl-js";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { PROGRAM, commit, packages, readLock, tree } from "./cargo.mjs";

const licences = new Factories.LicenseFactory();
const purlOf = (name, version) => new PackageURL("cargo", undefined, name, version, undefined, undefined);

function component(crate, known, locked) {
  const about = known.get(crate);
  if (about === undefined || !locked.has(crate)) throw new Error(`${crate} is in the tree, and cargo metadata or Cargo.lock do not know it`);
  const [type, hash] = [about.name === PROGRAM ? Enums.ComponentType.Application : Enums.ComponentType.Library, locked.get(crate)];
  const purl = purlOf(about.name, about.version);
  const one = new Models.Component(type, about.name, { version: about.version, purl, bomRef: purl.toString(), description: about.description ?? undefined });
  // Old manifests write a choice with a slash.
  if (about.license) one.licenses.add(licences.makeFromString(about.license.replaceAll("/", " OR ")));
  if (hash !== undefined) one.hashes.set(Enums.HashAlgorithm["SHA-256"], hash);
  if (about.repository) one.externalReferences.add(new Models.ExternalReference(about.repository, Enums.ExternalReferenceType.VCS));
  return one;
}

/** The text. `epoch`: seconds of 1970 as in SOURCE_DATE_EPOCH; without it, no time is told. */
export function bom({ needs, known, locked, at = commit(), epoch = process.env.SOURCE_DATE_EPOCH }) {
  const components = new Map([...needs.keys()].map((crate) => [crate, component(crate, known, locked)]));
  for (const [crate, needed] of needs) {
    for (const other of needed) components.get(crate).dependencies.add(components.get(other).bomRef);
  }
  const whole = [...components.values()].find(({ name }) => name === PROGRAM);
  if (whole === undefined) throw new Error(`${PROGRAM} is not in its own tree`);
  whole.properties.add(new Models.Property("stampede:commit", at ?? "unknown"));
  const all = new Models.Bom({ metadata: new Models.Metadata({ component: whole }) });
  if (epoch !== undefined && epoch !== "") {
    if (!/^\d{1,11}$/.test(epoch)) throw new Error(`SOURCE_DATE_EPOCH: ${epoch} are no seconds`);
    all.metadata.timestamp = new Date(Number(epoch) * 1000);
  }
  for (const one of components.values()) if (one !== whole) all.components.add(one);
  const normalizer = new Serialize.JSON.Normalize.Factory(Spec.Spec1dot6);
  const plain = JSON.parse(new Serialize.JsonSerializer(normalizer).serialize(all));
  // By code points: the library sorts by the words of whatever language the machine speaks.
  const by = (key) => (one, other) => (key(one) < key(other) ? -1 : key(one) > key(other) ? 1 : 0);
  plain.components?.sort(by((one) => one["bom-ref"]));
  plain.dependencies?.sort(by(({ ref }) => ref));
  for (const { dependsOn } of plain.dependencies ?? []) dependsOn?.sort(by((ref) => ref));
  return `${JSON.stringify(plain, null, 1)}\n`;
}

/** That of this checkout. */
export const own = () => bom({ needs: tree(), known: packages(), locked: readLock() });

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [, , out] = process.argv;
  const text = own();
  mkdirSync(dirname(out), { recursive: true });
  writeFileSync(out, text);
  console.error(`${JSON.parse(text).components.length} crates in ${out}`);
}
