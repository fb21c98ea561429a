// Runs every check against the real program: `node run.mjs [PATH OF partner-portal]`. Each check gets the server and fails by throwing.
import { rm } from "node:fs/promises";

import { start } from "./server.mjs";

const built = process.env.CARGO_TARGET_DIR ?? new URL("../../target", import.meta.url).pathname;
const program = process.argv[2] ?? `${built}/debug/partner-portal`;
const checks = process.argv[3]?.split(",") ?? ["audit", "contract", "reference", "apollo", "urql", "streams", "deploy", "relay", "codegen", "page", "screen", "recipes", "webhooks"];

let [passed, failed] = [0, 0];
await rm(new URL("./generated", import.meta.url), { recursive: true, force: true });
const server = await start(program);
try {
  for (const name of checks) {
    const { default: check } = await import(`./${name}.mjs`);
    try {
      const said = await check(server);
      passed += 1;
      console.log(`${name}: ${said}`);
    } catch (error) {
      failed += 1;
      console.error(`${name}: FAILED`, error);
    }
  }
} finally {
  await server.stop();
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
