// GraphiQL in headless Chromium: opens, runs a query that is typed, reads the answer; sees an event of a subscription arrive.
import { parse } from "graphql";

import { withBrowser } from "./browser.mjs";
import { ask, equal, whileTouching } from "./server.mjs";

export default function page(server) {
  return withBrowser(async (browser) => {
    try {
      return await explore(server, browser);
    } catch (error) {
      if (process.env.SCREENSHOT) await browser.contexts()[0]?.pages()[0]?.screenshot({ path: process.env.SCREENSHOT });
      throw error;
    }
  });
}

async function explore(server, browser) {
  const page = await browser.newPage({ viewport: { width: 1400, height: 900 } });
  const [elsewhere, faults, refused] = [[], [], []];
  // What it asks by itself is reported nowhere else: without the schema the page works, and knows nothing.
  page.on("response", async (response) => {
    if (!response.headers()["content-type"]?.includes("json")) return;
    const { errors } = await response.json().catch(() => ({}));
    if (errors) refused.push(errors[0].message);
  });
  page.on("request", (request) => {
    const url = request.url();
    if (!url.startsWith(new URL("/", server.page).href) && !url.startsWith("blob:") && !url.startsWith("data:")) elsewhere.push(url);
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

  // The tabs are the same at each reload, with what was typed; the page's own examples run.
  const tabs = () => page.$$eval(".graphiql-tab", (tabs) => tabs.map((tab) => tab.textContent.trim()).join());
  const before = await tabs();
  for (let times = 0; times < 2; times++) {
    await page.reload({ waitUntil: "networkidle" });
    await page.waitForSelector(".graphiql-execute-button", { timeout: 20_000 });
    equal(await tabs(), before, "the tabs after a reload");
  }
  const { token, examples } = await page.$eval("#settings", (settings) => JSON.parse(settings.textContent));
  for (const query of examples) {
    for (const definition of parse(query).definitions) {
      if (definition.operation === "subscription") continue;
      const { errors, data } = await ask(server, token, { query, operationName: definition.name.value });
      const wrong = errors ?? Object.values(data).flatMap((payload) => payload?.userErrors ?? []);
      equal(JSON.stringify(wrong), "[]", `errors of the example ${definition.name.value}`);
    }
  }
  equal(elsewhere.join(), "", "requests to other hosts");
  equal(faults.join(), "", "errors on the console");
  equal(refused.join(), "", "errors in answers");
  return "a query, an event, the same tabs again, all examples, no other host, no error";
}
