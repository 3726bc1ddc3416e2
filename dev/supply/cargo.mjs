// What cargo says is built into the released binary. The crates and who needs whom are those of `cargo tree`, which goes by
// the features that are on; `cargo metadata` alone would name optional ones too. What they are, `cargo metadata` says;
// their hashes, Cargo.lock.
import { execFileSync } from "node:child_process";
import { readFileSync, realpathSync } from "node:fs";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("../..", import.meta.url));
/** What is released for. */
export const TARGETS = ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"];
/** The package whose binary is released. */
export const PROGRAM = "stampede";
const REGISTRY = "registry+https://github.com/rust-lang/crates.io-index";

const cargo = (...args) => execFileSync("cargo", args, { cwd: root, encoding: "utf8", maxBuffer: 1 << 28, stdio: ["ignore", "pipe", "inherit"] });

/** Reads `cargo tree --prefix depth --format {p}`: for each crate, "name version", whom it needs. The first is the root. */
export function readTree(text) {
  const needs = new Map();
  const path = [];
  for (const line of text.split("\n")) {
    if (line === "") continue;
    const [, depth, name, version] = /^(\d+)([\w-]+) v(\S+)/.exec(line) ?? [];
    if (name === undefined) throw new Error(`cargo tree: ${line}`);
    const crate = `${name} ${version}`;
    path.length = Number(depth);
    if (!needs.has(crate)) needs.set(crate, new Set());
    if (path.length > 0) needs.get(path.at(-1)).add(crate);
    path.push(crate);
  }
  return needs;
}

/** Whom each crate needs, over all targets. */
export function tree(targets = TARGETS) {
  const all = new Map();
  for (const target of targets) {
    const text = cargo("tree", "--locked", "--edges", "normal", "--package", PROGRAM, "--target", target, "--prefix", "depth", "--format", "{p}");
    for (const [crate, needed] of readTree(text)) {
      all.set(crate, new Set([...(all.get(crate) ?? []), ...needed]));
    }
  }
  return all;
}

/** The packages that cargo knows, by "name version". */
export function packages() {
  const platforms = TARGETS.flatMap((target) => ["--filter-platform", target]);
  const { packages } = JSON.parse(cargo("metadata", "--locked", "--format-version", "1", ...platforms));
  return new Map(packages.map((one) => [`${one.name} ${one.version}`, one]));
}

/** SHA-256 of each crate's archive, by "name version"; `undefined` for those that are in this repository. */
export function readLock(text = readFileSync(`${root}/Cargo.lock`, "utf8")) {
  const locked = new Map();
  for (const part of text.split("[[package]]\n").slice(1)) {
    const field = (name) => new RegExp(`^${name} = "(.*)"$`, "m").exec(part)?.[1];
    const source = field("source");
    if (source !== undefined && source !== REGISTRY) throw new Error(`Cargo.lock: ${field("name")} comes from ${source}`);
    locked.set(`${field("name")} ${field("version")}`, field("checksum"));
  }
  return locked;
}

/** The commit as the program tells it (build.rs); nothing where there is none. */
export function commit() {
  const given = process.env.SOURCE_COMMIT ?? "";
  if (given !== "") return /^[0-9a-f]{12,64}$/.test(given) ? given.slice(0, 12) : undefined;
  const git = (...args) => execFileSync("git", args, { cwd: root, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
  try {
    // Unpacked inside somebody else's checkout, it has no commit.
    return realpathSync(git("rev-parse", "--show-toplevel")) === realpathSync(root) ? git("rev-parse", "HEAD").slice(0, 12) : undefined;
  } catch {
    return undefined;
  }
}
