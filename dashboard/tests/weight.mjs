// What the first page weighs, and how soon it can be used.
import { enter } from "./browser.mjs";
import { settled } from "./pages.mjs";

/** The most JavaScript that the first page may take, compressed, in bytes. */
const MOST = 150_000;

export default async function weight(browser, server) {
  const page = await enter(browser, server, "owner");
  const session = await page.context().newCDPSession(page);
  await session.send("Network.enable");
  const [kinds, sizes] = [new Map(), new Map()];
  session.on("Network.responseReceived", ({ requestId, type }) => kinds.set(requestId, type));
  session.on("Network.loadingFinished", ({ requestId, encodedDataLength }) => sizes.set(requestId, encodedDataLength));
  const times = [];
  let scripts = 0;
  for (let turn = 0; turn < 5; turn += 1) {
    sizes.clear();
    await session.send("Network.clearBrowserCache");
    const begun = Date.now();
    await page.goto(server.origin);
    await settled(page);
    times.push(Date.now() - begun);
    scripts = [...sizes].filter(([id]) => kinds.get(id) === "Script").reduce((sum, [, size]) => sum + size, 0);
  }
  await page.context().close();
  if (scripts === 0 || scripts > MOST) throw new Error(`${scripts} bytes of JavaScript, and ${MOST} are the most`);
  times.sort((one, other) => one - other);
  return `${Math.round(scripts / 1000)} kB of JavaScript; usable after ${times[2]} ms (median of 5, nothing cached)`;
}
