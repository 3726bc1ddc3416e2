// Holds the bill of materials to CycloneDX's schema, to what cargo builds in, and to Cargo.lock.
import { Spec, Validation } from "@cyclonedx/cyclonedx-library";
import { fileURLToPath } from "node:url";
import { PROGRAM, packages, readLock, tree } from "./cargo.mjs";
import { bom } from "./sbom.mjs";

/** What the schema says against it; nothing when it is content. */
export async function againstSchema(text) {
  const wrong = await new Validation.JsonStrictValidator(Spec.Spec1dot6.version).validate(text);
  return wrong === null ? [] : wrong.map(({ instancePath, message }) => `schema: ${instancePath || "/"} ${message}`);
}

/** What is missing, too much or different from what is built in. */
export function againstCargo(text, needs, locked) {
  const complaints = [];
  const { metadata, components = [], dependencies = [] } = JSON.parse(text);
  const all = [metadata.component, ...components];
  const told = new Map(all.map((one) => [`${one.name} ${one.version}`, one]));
  if (metadata.component?.name !== PROGRAM) complaints.push(`it is about ${metadata.component?.name}`);
  if (told.size !== all.length) complaints.push("a crate is told twice");
  for (const crate of needs.keys()) if (!told.has(crate)) complaints.push(`${crate} is built in and missing`);
  for (const [crate, one] of told) {
    if (!needs.has(crate)) complaints.push(`${crate} is told and not built in`);
    if (decodeURIComponent(one.purl) !== `pkg:cargo/${one.name}@${one.version}`) complaints.push(`${crate}: purl ${one.purl}`);
    const hash = one.hashes?.find(({ alg }) => alg === "SHA-256")?.content;
    if (hash !== locked.get(crate)) complaints.push(`${crate}: its hash is not that of Cargo.lock`);
    if ((one.licenses ?? []).length === 0) complaints.push(`${crate}: no licence`);
  }
  const names = new Map(all.map((one) => [one["bom-ref"], `${one.name} ${one.version}`]));
  const edges = new Map(dependencies.map(({ ref, dependsOn = [] }) => [names.get(ref), dependsOn.map((other) => names.get(other))]));
  for (const [crate, needed] of needs) {
    const given = [...(edges.get(crate) ?? [])].sort().join(", ");
    if (given !== [...needed].sort().join(", ")) complaints.push(`${crate}: needs ${[...needed].sort().join(", ")}, and is told to need ${given}`);
  }
  return complaints;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const cargo = () => ({ needs: tree(), known: packages(), locked: readLock() });
  const [first, second] = [cargo(), cargo()];
  const [text, again] = [bom(first), bom(second)];
  const complaints = [...(await againstSchema(text)), ...againstCargo(text, first.needs, first.locked)];
  if (text !== again) complaints.push("two runs give different bytes");
  for (const complaint of complaints) console.error(complaint);
  if (complaints.length > 0) process.exit(1);
  console.log(`bill of materials: ${first.needs.size - 1} crates, as cargo builds them in, in CycloneDX ${Spec.Spec1dot6.version}`);
}
