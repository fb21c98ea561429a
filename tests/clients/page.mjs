// GraphiQL in headless Chromium: opens, runs a query that is typed, reads the answer; sees an event of a subscription arrive.
import { existsSync } from "node:fs";

import { chromium } from "playwright-core";

import { equal, whileTouching } from "./server.mjs";

const places = [process.env.CHROMIUM, "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
const flags = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];

export default async function page(server) {
  const executablePath = places.find((path) => path && existsSync(path));
  if (!executablePath) {
    if (process.env.CI) throw new Error("there is no Chromium: set CHROMIUM");
    return "skipped: there is no Chromium";
  }
  const browser = await chromium.launch({ executablePath, args: flags });
  try {
    const page = await browser.newPage({ viewport: { width: 1400, height: 900 } });
    const [elsewhere, faults, refused] = [[], [], []];
    // What it asks by itself is told nowhere else: without the schema the page works, and knows nothing.
    page.on("response", async (response) => {
      if (!response.headers()["content-type"]?.includes("json")) return;
      const { errors } = await response.json().catch(() => ({}));
      if (errors) refused.push(errors[0].message);
    });
    page.on("request", (request) => {
      const url = request.url();
      if (!url.startsWith(server.page) && !url.startsWith("blob:") && !url.startsWith("data:")) elsewhere.push(url);
    });
    page.on("console", (message) => message.type() === "error" && faults.push(message.text()));
    await page.goto(server.page, { waitUntil: "networkidle" });
    await page.waitForSelector(".graphiql-execute-button", { timeout: 20_000 });

    const run = async (query) => {
      await page.click(".graphiql-tab-add");
      await page.click(".graphiql-query-editor .CodeMirror, .graphiql-query-editor .monaco-editor");
      await page.keyboard.press("ControlOrMeta+A");
      await page.keyboard.press("Delete");
      await page.keyboard.insertText(query);
      // GraphiQL reads the operation's name a moment after the last key.
      await page.waitForTimeout(700);
      await page.click(".graphiql-execute-button");
    };
    const answer = (text) => page.waitForFunction((text) => document.querySelector(".result-window")?.textContent.includes(text), text, { timeout: 20_000 });

    await run("query Me { me { role tenant { name } } }");
    await answer("PARTNER_OWNER");
    await run("subscription Watch { leadChanged { lead { id } } }");
    await whileTouching(server, answer('"leadChanged"'), "the event on the page");
    if (process.env.SCREENSHOT) await page.screenshot({ path: process.env.SCREENSHOT });
    equal(elsewhere.join(), "", "requests to other hosts");
    equal(faults.join(), "", "errors on the console");
    equal(refused.join(), "", "errors in answers");
    return "a query, an event, no other host, no error";
  } catch (error) {
    if (process.env.SCREENSHOT) await browser.contexts()[0]?.pages()[0]?.screenshot({ path: process.env.SCREENSHOT });
    throw error;
  } finally {
    await browser.close();
  }
}
