// Every page: one operation, nothing wrong in the console, no fault found by axe, in light and dark, wide and on a phone. With DASHBOARD_SHOTS
// set to a folder, pictures of all of them are kept there.
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { enter } from "./browser.mjs";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const shots = process.env.DASHBOARD_SHOTS;

// A page, and what is clicked once it is there.
const PAGES = [
  ["owner", "/"],
  ["owner", "/?period=month"],
  ["owner", "/leads"],
  ["owner", "/leads?view=board"],
  ["owner", "/leads", "tbody tr:first-child button"],
  ["owner", "/leads?new=true"],
  ["owner", "/links"],
  ["owner", "/links", "tbody tr:last-child button"],
  ["owner", "/links?new=true"],
  ["owner", "/earnings"],
  ["owner", "/earnings", "tbody tr:nth-child(3) button"],
  ["owner", "/payouts"],
  ["owner", "/payouts", "tbody tr:first-child button"],
  ["owner", "/credits"],
  ["owner", "/credits", "tbody tr:first-child button"],
  ["owner", "/credits?import=true"],
  ["owner", "/affiliates"],
  ["owner", "/profile"],
  ["owner", "/team"],
  ["member", "/"],
  ["newcomer", "/"],
  ["newcomer", "/profile"],
  ["operator", "/operator/approvals"],
  ["operator", "/operator/payouts"],
  ["operator", "/operator/payouts", "tbody tr:first-child button"],
  ["operator", "/operator/payouts?prepare=true"],
  ["operator", "/operator/payouts?all=true"],
  ["operator", "/operator/partners"],
  ["operator", "/operator/partners", "tbody tr:first-child button"],
  ["operator", "/operator/programmes"],
  ["operator", "/operator/webhooks"],
  ["operator", "/operator/imports"],
  ["operator", "/operator/audit"],
  ["operator", "/operator/audit", "tbody tr:first-child button"],
  ["operator", "/operator/settings"],
  ["operator", "/nowhere"],
];

const LOOKS = [
  { colorScheme: "light", viewport: { width: 1360, height: 900 } },
  { colorScheme: "dark", viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true },
];
const ALL_LOOKS = [...LOOKS, { colorScheme: "dark", viewport: LOOKS[0].viewport }, { ...LOOKS[1], colorScheme: "light" }];

export async function settled(page) {
  await page.waitForSelector("h1");
  await page.waitForFunction(() => !document.querySelector(".animate-pulse"));
}

export default async function pages(browser, server) {
  if (shots) mkdirSync(shots, { recursive: true });
  let [seen, faults] = [0, []];
  for (const look of shots ? ALL_LOOKS : LOOKS) {
    const people = new Map();
    for (const [person, path, clicked] of PAGES) {
      if (!people.has(person)) people.set(person, await enter(browser, server, person, look));
      const page = people.get(person);
      const name = `${person}${path}${clicked ? " opened" : ""} ${look.colorScheme} ${look.viewport.width}`;
      page.sent.length = 0;
      page.faults.length = 0;
      await page.goto(server.origin + path);
      await settled(page).catch((error) => {
        throw new Error(`${name}: ${error.message} ${page.faults.join(" ")}`);
      });
      const operations = page.sent.length;
      if (operations !== (path === "/nowhere" ? 0 : 1)) faults.push(`${name}: ${operations} operations`);
      if (clicked) {
        await page.locator(clicked).click();
        await page.waitForSelector("dialog[open]");
        await settled(page);
      }
      if (path.endsWith("=true")) await page.waitForSelector("dialog[open]");
      // What moves into place is looked at once it is there.
      await page.evaluate(() => Promise.all(document.getAnimations().map((animation) => animation.finished.catch(() => {}))));
      await page.evaluate(axe);
      const { violations } = await page.evaluate(() => window.axe.run(document, { rules: { "color-contrast": { enabled: true } } }));
      for (const { id, nodes } of violations)
        faults.push(`${name}: axe ${id}: ${nodes[0].html.slice(0, 160)} ${nodes[0].failureSummary?.replaceAll("\n", " ")}`);
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
      if (overflow > 0) faults.push(`${name}: ${overflow} px wider than the window`);
      faults.push(...page.faults.map((fault) => `${name}: ${fault}`));
      if (shots) await page.screenshot({ path: `${shots}/${name.replaceAll(/[^a-z0-9]+/gi, "_")}.png` });
      seen += 1;
    }
    for (const page of people.values()) await page.context().close();
  }
  if (faults.length > 0) throw new Error(`${faults.length} faults:\n${faults.join("\n")}`);
  return `${seen} views: one operation each, nothing found by axe`;
}
