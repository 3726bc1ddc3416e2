// The check finds what it is there to find.
import assert from "node:assert/strict";
import { test } from "node:test";
import { check, files } from "./check.mjs";

const [compose, env] = files();

/** The files with one thing changed. */
function complaints(from, to, [thisCompose, thisEnv] = [compose, env]) {
  const changed = thisCompose.replace(from, to);
  assert.notEqual(changed, thisCompose, `nothing to change: ${from}`);
  return check([changed, thisEnv]);
}

test("the files as they are", () => assert.deepEqual(check([compose, env]), []));

for (const [what, from, to, found] of [
  ["an unknown key", "init: true", "init: true\n  inti: true", /schema: .*additional properties/],
  ["a wrong type", "restart: unless-stopped", "restart: 3", /schema: .*restart/],
  ["a fixed name", "    build: .\n", "    build: .\n    container_name: one\n", /stampede: no container_name/],
  ["a moving tag", "redis:7.2-bookworm", "redis:latest", /redis: the image needs a tag/],
  ["no tag", "redis:7.2-bookworm", "redis", /redis: the image needs a tag/],
  ["a writable root", "read_only: true", "read_only: false", /stampede: read_only/],
  ["kept capabilities", "cap_drop: [ALL]", "cap_drop: []", /rabbitmq: cap_drop/],
  ["root", 'user: "65532:65532"', 'user: "0:0"', /stampede: user/],
  ["a port for everybody", '"127.0.0.1:${API_PORT}:8080"', '"${API_PORT}:8080"', /not bound to loopback/],
  ["a port twice", "${OPS_PORT}:8081", "${API_PORT}:8081", /port 8080 is stampede's as well/],
  ["an unknown volume", "scylla-data:/var", "scylla:/var", /volume scylla:/],
  ["too much memory", "memory: 1152M", "memory: 1M2", /a memory limit/],
  ["more than 3 GiB", "memory: 1152M", "memory: 2152M", /at most/],
  ["an excuse for nothing", "x-why: { read_only", "x-why: { init: no, read_only", /nothing excuses init/],
  ["a variable that nobody sets", "${REDIS_PASSWORD}@", "${REDIS_PASS}@", /REDIS_PASS} is not in .env/],
  ["no health check", /    healthcheck: \{ test: \[CMD, redis-cli.*\n/, "", /redis: a health check/],
]) {
  test(what, () => assert.match(complaints(from, to).join("\n"), found));
}

test("a setting without a comment, and one that nobody uses", () => {
  const said = check([compose, `${env}\nMORE=1\n`]).join("\n");
  assert.match(said, /MORE has no comment/);
  assert.match(check([compose, `${env}\n# For what?\nMORE=1\n`]).join("\n"), /nobody uses MORE/);
});
