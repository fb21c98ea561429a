// Six stories, as people live them: two windows or more side by side, tokens that live for thirty seconds, and a server that is replaced in the middle.
import { enter } from "./browser.mjs";
import { settled } from "./pages.mjs";

const LIFE = { seconds: 30 };

const opened = async (browser, server, person, path) => {
  const page = await enter(browser, server, person, LIFE);
  await page.goto(server.origin + path);
  await settled(page);
  return page;
};
const field = (page, name) => page.getByLabel(name, { exact: false });
const press = (page, name) => page.getByRole("button", { name, exact: true }).click();
const sees = (page, text) => page.getByText(text).first().waitFor({ timeout: 30_000 });
const notice = (page, text) => page.getByRole("status").getByText(text).waitFor({ timeout: 30_000 });

// A lead from sending to paid. The server is replaced while both windows are open, and the payout comes back in the end.
async function lead(browser, server, replace) {
  const owner = await opened(browser, server, "owner", "/leads");
  await press(owner, "Send a lead");
  await field(owner, "Client").fill("Grace Hopper");
  await field(owner, "E-mail address").fill("grace at example");
  await field(owner, "Service").fill("Compilers");
  await field(owner, "Value of the deal").fill("20000.00");
  await owner.getByRole("dialog").getByRole("button", { name: "Send a lead" }).click();
  await owner.getByRole("dialog").getByRole("alert").first().waitFor();
  if ((await field(owner, "Client").inputValue()) !== "Grace Hopper") throw new Error("what was typed is gone");
  await field(owner, "E-mail address").fill("grace@example.com");
  await owner.getByRole("dialog").getByRole("button", { name: "Send a lead" }).click();
  await notice(owner, "Grace Hopper is sent");
  await owner.getByRole("button", { name: "Grace Hopper" }).click();
  await field(owner, "Note for this step").fill("Called her");
  await press(owner, "Move to Contacted");
  await sees(owner.getByRole("dialog"), "Called her");
  await press(owner, "Move to Qualified");
  await notice(owner, "Grace Hopper is Qualified now");
  // A step that is sent while there is no server is made once there is one.
  const replaced = replace();
  await press(owner, "Move to Won");
  await replaced;
  await notice(owner, "Grace Hopper is Won now");

  const operator = await opened(browser, server, "operator", "/operator/approvals");
  const waiting = operator.getByRole("listitem").filter({ hasText: "Grace Hopper" });
  for (let turn = 0; (await waiting.count()) === 0 && turn < 10; turn += 1) {
    await operator.getByRole("button", { name: "Show more" }).scrollIntoViewIfNeeded();
    await operator.waitForTimeout(500);
  }
  const amount = (await waiting.locator(".tabular-nums").first().textContent()) ?? "";
  await waiting.getByRole("checkbox").check();
  await press(operator, "Approve");
  await notice(operator, "1 commission is approved");
  await owner.goto(`${server.origin}/earnings`);
  await sees(owner.getByRole("row").filter({ hasText: "Grace Hopper" }), "Approved");
  await owner.getByRole("row").filter({ hasText: "Grace Hopper" }).getByRole("button").click();
  await sees(owner.getByRole("dialog"), amount);
  await sees(owner.getByRole("dialog"), "Why this amount?");

  await payout(owner, operator, server);
  await Promise.all([owner, operator].map((page) => page.context().close()));
}

// A payout from its preview to paid and returned: the owner sees each step without doing anything.
async function payout(owner, operator, server) {
  await operator.goto(`${server.origin}/operator/payouts`);
  await settled(operator);
  await press(operator, "Prepare a payout");
  await operator.getByRole("dialog").getByLabel("Partner").selectOption({ label: "Delta Partners" });
  await sees(operator.getByRole("dialog"), "Grace Hopper");
  await press(operator, "Create the payout");
  await notice(operator, "for Delta Partners is prepared");
  await owner.goto(`${server.origin}/payouts`);
  await settled(owner);
  const newest = owner.getByRole("row").nth(1);
  await sees(newest, "Being prepared");
  await press(operator, "Release");
  await sees(newest, "Released");
  await press(operator, "Start the payment");
  await sees(newest, "On its way");
  await press(operator, "It is paid");
  await field(operator, "Reference").fill("TRX-1");
  await operator.getByRole("dialog").getByRole("button", { name: "It is paid" }).click();
  await sees(newest, /^Paid$/);
  await press(operator, "It came back");
  await field(operator, "Reason").fill("The account is closed");
  await operator.getByRole("dialog").getByRole("button", { name: "It came back" }).click();
  await sees(newest, "Failed");
  await newest.getByRole("button").click();
  await sees(owner.getByRole("dialog"), "The account is closed");
  await press(operator, "Close");
  await press(operator, "Prepare all payouts");
  await press(operator, "Create all payouts");
  await notice(operator, /payouts? (is|are) prepared/);
}

// A link from making to earning: each click and sale shows as it happens.
async function link(browser, server, replace) {
  const owner = await opened(browser, server, "owner", "/links");
  await press(owner, "Make a link");
  await field(owner, "Where it leads").fill("no address");
  await owner.getByRole("dialog").getByRole("button", { name: "Make a link" }).click();
  await owner.getByRole("dialog").getByRole("alert").first().waitFor();
  await field(owner, "Where it leads").fill("https://example.com/compilers");
  await field(owner, "Name").fill("Compilers");
  await field(owner, "Own ending").fill("compilers");
  await owner.getByRole("dialog").getByRole("button", { name: "Make a link" }).click();
  await sees(owner.getByRole("dialog"), "Nothing has happened yet");
  const address = (await owner.getByRole("dialog").locator("code").textContent()) ?? "";
  await press(owner, "QR code");
  const picture = owner.getByRole("img", { name: /QR code of/ });
  await picture.waitFor();
  await owner.waitForFunction(() => document.querySelector("dialog img")?.naturalWidth > 0);
  const visit = await fetch(address, {
    redirect: "manual",
    headers: { "user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0" },
  });
  const replaced = replace();
  const clickId = new URL(visit.headers.get("location")).searchParams.get("click_id");
  const events = owner.getByRole("region", { name: "What happens" });
  await sees(events, "Click");
  await replaced;
  await server.report("sign-up", { clickId, customerExternalId: "cus_story", customerName: "Ada Lovelace" });
  await sees(events, "Sign-up");
  await server.report("payment", {
    invoiceId: "inv_story",
    customerExternalId: "cus_story",
    amount: "100.00",
    paidAt: new Date().toISOString(),
  });
  await sees(events, /Sale/);
  await owner.goto(`${server.origin}/earnings?by=LINK`);
  await sees(owner, "Compilers");
  await owner.context().close();
}

// A file of members with faults: each row says what would become of it, then what became of it.
async function members(browser, server, replace) {
  const owner = await opened(browser, server, "owner", "/credits");
  await press(owner, "Import a file");
  await press(owner, "Try it out");
  await sees(owner.getByRole("dialog"), "Choose a file first.");
  const rows = [
    "email,first_name,last_name,credits",
    "ada@example.com,Ada,Lovelace,2",
    "nobody,No,Body,1",
    "alan@example.com,Alan,Turing,",
    "grace@example.com,Grace,Hopper,-4",
  ];
  await owner
    .getByLabel("File", { exact: true })
    .setInputFiles({ name: "members.csv", mimeType: "text/csv", buffer: Buffer.from(rows.join("\n")) });
  await press(owner, "Try it out");
  const report = owner.getByRole("region", { name: "Result" });
  await sees(report, "What would become of each row");
  const refused = await report.getByRole("row").filter({ hasText: "Refused" }).count();
  if (refused !== 2) throw new Error(`${refused} rows are refused`);
  // What is sent while there is no server is done once there is one.
  const replaced = replace();
  await press(owner, "Bring it in");
  await replaced;
  await notice(owner, "2 members are brought in");
  await press(owner, "Close");
  await owner.getByRole("button", { name: "Ada Lovelace" }).click();
  await field(owner, "Credits").fill("3");
  await press(owner, "Hand out");
  await notice(owner, "Ada Lovelace has 3 credits more");
  await sees(owner.getByRole("dialog"), "5");
  await owner.context().close();
}

// An application from sign-up to approval.
async function application(browser, server, replace) {
  const newcomer = await opened(browser, server, "newcomer&number=7", "/");
  await newcomer.getByRole("link", { name: "Write the application" }).click();
  await newcomer.getByRole("heading", { name: "Become a partner" }).waitFor();
  await field(newcomer, "Company").fill("Analytical Engines");
  await field(newcomer, "Country").fill("Nowhere");
  await field(newcomer, "How would you bring customers?").fill("By a newsletter on engines.");
  await press(newcomer, "Send the application");
  await newcomer.getByRole("alert").first().waitFor();
  await field(newcomer, "Country").fill("GB");
  const replaced = replace();
  await press(newcomer, "Send the application");
  await replaced;
  await notice(newcomer, "Your application is sent");
  const operator = await opened(browser, server, "operator", "/operator/approvals");
  await sees(operator, "By a newsletter on engines.");
  await press(operator, "Accept: Analytical Engines");
  await notice(operator, "Analytical Engines is a partner now");
  await newcomer.goto(`${server.origin}/leads`);
  await newcomer.getByRole("button", { name: "Send a lead" }).first().waitFor();
  await Promise.all([newcomer, operator].map((page) => page.context().close()));
}

// An invite to the wallet: somebody signs up by it, pays, and the wallet grows while it is looked at.
async function invite(browser, server, replace) {
  const owner = await opened(browser, server, "owner", "/affiliates");
  const address = (await owner.getByRole("region", { name: "Your invite link" }).locator("code").textContent()) ?? "";
  const inviteCode = address.split("/").at(-1);
  const newcomer = await enter(browser, server, `newcomer&number=8&inviteCode=${inviteCode}`, LIFE);
  const first = newcomer.waitForResponse((response) => response.url().endsWith("/graphql"));
  await newcomer.goto(`${server.origin}/affiliates`);
  const userId = (await (await first).json()).data.me.user.id;
  await newcomer.getByRole("heading", { name: "Your invite link" }).waitFor();
  await server.report("sign-up", { inviteCode, userId, customerExternalId: "cus_invited", customerName: "Invited" });
  const wallet = owner.getByRole("region", { name: "Wallet" });
  const before = await wallet.locator(".tabular-nums").first().textContent();
  await replace();
  await server.report("payment", {
    invoiceId: "inv_invited",
    customerExternalId: "cus_invited",
    amount: "200.00",
    paidAt: new Date().toISOString(),
  });
  await owner.waitForFunction((before) => document.querySelector("section[aria-labelledby] ul .text-2xl")?.textContent !== before, before, {
    timeout: 30_000,
  });
  await field(wallet, "Amount").fill("5.00");
  await press(owner, "Take out");
  await notice(owner, "$5.00 comes with your next payout");
  await sees(owner.getByRole("region", { name: "Transactions" }), "Taken out");
  await Promise.all([owner, newcomer].map((page) => page.context().close()));
}

export default async function stories(browser, server, held) {
  const replace = async () => {
    held.current = await held.current.replace();
  };
  const told = [];
  const all = { lead, link, members, application, invite };
  const wanted = process.env.STORY ? { [process.env.STORY]: all[process.env.STORY] } : all;
  for (const [name, story] of Object.entries(wanted)) {
    try {
      await story(browser, server, replace);
    } catch (error) {
      const folder = process.env.DASHBOARD_SHOTS;
      for (const [index, page] of browser
        .contexts()
        .flatMap((context) => context.pages())
        .entries()) {
        if (folder) await page.screenshot({ path: `${folder}/failed_${name}_${index}.png` });
      }
      throw new Error(`${name}: ${error.message}`);
    }
    told.push(name);
  }
  return `${told.join(", ")}; tokens of 30 s, the server replaced in the middle of each`;
}
