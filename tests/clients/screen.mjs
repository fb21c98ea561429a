// A page with five lists that are up to date: one query, and one stream in the browser's own EventSource with the session cookie.
import { readFileSync } from "node:fs";

import { withBrowser } from "./browser.mjs";
import { equal, soon, touchLead, whileTouching } from "./server.mjs";

const lists = `query Page {
  eventCursor
  leads(first: 5) { nodes { id notes status } }
  commissions(first: 5) { nodes { id status amount { amount currency } } }
  payouts(first: 5) { nodes { id status total { amount currency } } }
  members(first: 5) { nodes { id email } }
  customers(first: 5) { nodes { id name } }
}`;
const stream = `subscription Page($since: String) {
  changes(since: $since) {
    __typename cursor
    ... on LeadChange { lead { id notes status } }
    ... on CommissionChange { commission { id status amount { amount currency } } }
    ... on PayoutChange { payout { id status total { amount currency } } }
    ... on CreditBalanceChange { partner { id creditBalance } }
  }
}`;

export default function screen(server) {
  return withBrowser(async (browser) => {
    const context = await browser.newContext();
    await context.addCookies([{ name: "__session", value: server.partner, url: new URL("/", server.page).href, httpOnly: true, sameSite: "Lax" }]);
    const page = await context.newPage();
    // An empty page of the API's own origin.
    await page.route(server.page, (route) => route.fulfill({ contentType: "text/html", headers: { "content-security-policy": "" }, body: "<title>Screen</title>" }));
    await page.goto(server.page);
    const requests = [];
    page.on("request", (request) => requests.push(request.method()));
    const shown = await page.evaluate(async (query) => {
      const headers = { "content-type": "application/json" };
      const { data, errors } = await (await fetch("/graphql", { method: "POST", headers, body: JSON.stringify({ query }) })).json();
      if (errors) throw new Error(JSON.stringify(errors));
      return data;
    }, lists);
    for (const list of ["leads", "commissions", "payouts", "members", "customers"]) {
      if (shown[list].nodes.length === 0) throw new Error(`${list} is empty`);
    }
    // After the query and before the stream: it is reported first.
    const missed = await touchLead(server);
    const recipe = readFileSync(new URL("./recipes/event-source.mjs", import.meta.url), "utf8");
    await page.addScriptTag({ type: "module", content: `${recipe}\nwindow.watch = watch;` });
    await page.waitForFunction(() => window.watch);
    await page.evaluate(
      ({ query, since }) => {
        window.received = [];
        window.begun = 0;
        const cursors = [since, undefined];
        window.stop = window.watch("/graphql", query, async () => cursors[Math.min(window.begun++, 1)], (change) => window.received.push(change));
      },
      { query: stream, since: shown.eventCursor },
    );
    const count = (wanted) => page.waitForFunction((wanted) => window.received.length >= wanted, wanted, { timeout: 20_000 });
    await count(1);
    await whileTouching(server, count(2), "an event on the page");
    const received = await page.evaluate(() => window.received);
    equal(received[0].lead.id, missed, "the lead that was changed before the stream was open");
    equal(received.every(({ __typename }) => __typename === "LeadChange"), true, "the types of the changes");
    equal(new Set(received.map(({ cursor }) => cursor)).size, received.length, "how many different cursors there are");
    equal(requests.join(), "POST,GET", "the page's requests");
    await soon(page.close(), "closing the page");
    return "five lists by one query, kept up to date by one EventSource";
  });
}
