// The stream of an open page: tokens that end, a server that is replaced, and connections that die without a word lose nothing and bring nothing twice.
import { enter } from "./browser.mjs";
import { settled } from "./pages.mjs";

const LIFE = { seconds: 12 };

export default async function live(browser, server, held) {
  const [watching, acting] = [await enter(browser, server, "owner", LIFE), await enter(browser, server, "owner", LIFE)];
  const [cursors, sockets] = [[], []];
  watching.on("websocket", (socket) => {
    sockets.push(socket);
    socket.on("framereceived", ({ payload }) => {
      const { type, payload: value } = JSON.parse(payload);
      if (type === "next" && value.data) cursors.push(value.data.changes.cursor);
    });
  });
  for (const page of [watching, acting]) {
    await page.goto(`${server.origin}/leads?status=PENDING`);
    await settled(page);
  }
  const name = (await acting.locator("tbody tr:first-child button").textContent()) ?? "";
  const row = watching.getByRole("row").filter({ hasText: name });
  const count = await row.count();
  await acting.locator("tbody tr:first-child button").click();
  let steps = 0;
  // There and back: the lead leaves the list, and is in it again.
  const thereAndBack = async () => {
    for (const step of ["Move to Lost", "Move to New"]) {
      await acting.getByRole("dialog").getByRole("button", { name: step }).click();
      await acting
        .getByRole("dialog")
        .getByRole("button", { name: step === "Move to Lost" ? "Move to New" : "Move to Lost" })
        .waitFor();
      steps += 1;
    }
  };
  const hears = async () => {
    for (let turn = 0; cursors.length < steps && turn < 200; turn += 1) await watching.waitForTimeout(100);
    if (cursors.length !== steps || new Set(cursors).size !== steps) {
      throw new Error(`${steps} changes, and ${cursors.length} were received, ${new Set(cursors).size} of them different`);
    }
    for (let turn = 0; (await row.count()) !== count && turn < 100; turn += 1) await watching.waitForTimeout(100);
    if ((await row.count()) !== count) throw new Error("the list is not what it is");
  };
  await thereAndBack();
  await hears();
  // Beyond the life of the first token.
  await watching.waitForTimeout(LIFE.seconds * 1000 + 2_000);
  await thereAndBack();
  await hears();
  if (sockets.length !== 1) throw new Error(`${sockets.length} sockets: a token that is renewed in time needs no other`);
  held.current = await held.current.replace();
  await thereAndBack();
  await hears();
  // Nothing is answered for longer than a socket waits; the page says so, and it goes away again.
  held.current.hold();
  await watching.getByRole("status").getByText("Reconnecting").waitFor({ timeout: 40_000 });
  held.current.release();
  await watching.getByRole("status").getByText("Reconnecting").waitFor({ state: "detached", timeout: 40_000 });
  await thereAndBack();
  await hears();
  await Promise.all([watching, acting].map((page) => page.context().close()));
  return `${steps} changes over ${sockets.length} sockets: each received once`;
}
