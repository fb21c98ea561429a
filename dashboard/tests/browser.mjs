// Debian's Chromium, and what the tests do with a page.
import { chromium } from "playwright-core";

const executablePath = process.env.CHROMIUM ?? "/usr/bin/chromium";

export const open = () => chromium.launch({ executablePath, args: ["--no-sandbox"] });

// A page of somebody of the demo data. What goes wrong in it is kept in `page.faults`; operations that it sent in `page.sent`.
export async function enter(browser, server, person, { seconds, ...options } = {}) {
  const context = await browser.newContext({
    locale: "en-US",
    timezoneId: "Europe/Berlin",
    viewport: { width: 1360, height: 860 },
    ...options,
  });
  await context.addInitScript(
    (person) => sessionStorage.setItem("portal-person", person),
    seconds ? `${person}&seconds=${seconds}` : person,
  );
  const page = await context.newPage();
  page.faults = [];
  page.sent = [];
  page.on("pageerror", (error) => page.faults.push(String(error)));
  page.on("console", (message) => message.type() === "error" && page.faults.push(message.text()));
  page.on("request", (request) => {
    if (request.url() === `${server.origin}/graphql`) page.sent.push(request.postData() ?? "");
  });
  return page;
}
