// Runs promtool, a few at a time.
import { execFile } from "node:child_process";
import { availableParallelism } from "node:os";
import { promisify } from "node:util";

const run = promisify(execFile);

/** Whether it was content, and what it said. */
export async function promtool(...args) {
  try {
    const { stdout, stderr } = await run("promtool", args, { maxBuffer: 1 << 26 });
    return { ok: true, said: stdout + stderr };
  } catch (error) {
    if (typeof error.code !== "number") throw error;
    return { ok: false, said: `${error.stdout}${error.stderr}` };
  }
}

/** Works on all of `items`, as many at once as there are cores; answers in their order. */
export async function each(items, work, atOnce = availableParallelism?.() ?? 2) {
  const queue = [...items].entries();
  const done = [];
  const worker = async () => {
    for (const [index, item] of queue) done[index] = await work(item);
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  return done;
}
