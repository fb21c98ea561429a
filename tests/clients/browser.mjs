// Headless Chromium, where there is one.
import { existsSync } from "node:fs";

import { chromium } from "playwright-core";

const places = [process.env.CHROMIUM, "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
const flags = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];

// Runs a check with a browser; says that it was skipped where there is none.
export async function withBrowser(check) {
  const executablePath = places.find((path) => path && existsSync(path));
  if (!executablePath) {
    if (process.env.CI) throw new Error("there is no Chromium: set CHROMIUM");
    return "skipped: there is no Chromium";
  }
  const browser = await chromium.launch({ executablePath, args: flags });
  try {
    return await check(browser);
  } finally {
    await browser.close();
  }
}
