// The dashboard in Chromium against the real program: `node tests/run.mjs [PATH OF partner-portal [CHECKS]]`.
import { open } from "./browser.mjs";
import { start } from "./server.mjs";

const built = process.env.CARGO_TARGET_DIR ?? new URL("../../target", import.meta.url).pathname;
const program = process.argv[2] ?? `${built}/debug/partner-portal`;
const checks = process.argv[3]?.split(",") ?? ["pages", "weight", "live", "stories"];

let failed = 0;
const browser = await open();
try {
  for (const name of checks) {
    const { default: check } = await import(`./${name}.mjs`);
    const server = { current: await start(program) };
    try {
      console.log(`${name}: ${await check(browser, server.current, server)}`);
    } catch (error) {
      failed += 1;
      console.error(`${name}: FAILED`, error);
    } finally {
      await server.current.stop();
    }
  }
} finally {
  await browser.close();
}
process.exitCode = failed === 0 ? 0 : 1;
