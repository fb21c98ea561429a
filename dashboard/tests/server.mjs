// The real program with demo data of its own and this build of the dashboard, on a free port. It takes the dashboard's own operations alone, and those by
// which the tenant's shop reports what happens there.
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

const dist = new URL("../dist", import.meta.url).pathname;

const SHOP = {
  "shop/sign-up": "mutation ($input: RecordSignUpInput!) { recordSignUp(input: $input) { userErrors { field message } } }",
  "shop/payment": "mutation ($input: RecordInvoicePaymentInput!) { recordInvoicePayment(input: $input) { userErrors { field message } } }",
};

// A port that is free: links begin with the server's address, which is to be known before it starts.
function freePort() {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

export async function start(program, folder = mkdtempSync(join(tmpdir(), "portal-dashboard-")), given) {
  const listen = given ?? `127.0.0.1:${await freePort()}`;
  const { DATABASE_URL, CLERK_ISSUER, ...inherited } = process.env;
  const manifest = join(folder, "operations.json");
  writeFileSync(manifest, JSON.stringify({ ...JSON.parse(readFileSync(`${dist}/persisted-documents.json`, "utf8")), ...SHOP }));
  const env = {
    ...inherited,
    PORTAL_DATA_DIR: folder,
    PORTAL_LOG: "warn",
    PORTAL_DASHBOARD_DIR: dist,
    PORTAL_TRUSTED_DOCUMENTS: "only",
    PORTAL_TRUSTED_MANIFEST: manifest,
  };
  const child = spawn(program, ["serve", "--listen", listen], { env, stdio: ["ignore", "pipe", "inherit"] });
  const ended = new Promise((resolve) => child.once("exit", resolve));
  const lines = createInterface({ input: child.stdout });
  const address = await Promise.race([
    ended.then(() => Promise.reject(new Error("the server has ended"))),
    (async () => {
      for await (const line of lines) {
        const found = line.match(/POST http:\/\/([^/]+)/);
        if (found) return found[1];
      }
      throw new Error("the start screen names no address");
    })(),
  ]);
  const stop = async () => {
    child.kill("SIGTERM");
    await ended;
  };
  return {
    origin: `http://${address}`,
    // The tenant's shop reports something.
    async report(what, input) {
      const token = execFileSync(program, ["token", "--role", "service"], { env, encoding: "utf8" }).trim();
      const headers = { "content-type": "application/json", authorization: `Bearer ${token}` };
      const body = JSON.stringify({ documentId: `shop/${what}`, variables: { input } });
      const answer = await (await fetch(`http://${address}/graphql`, { method: "POST", headers, body })).json();
      const payload = Object.values(answer.data ?? {})[0];
      if (!payload || payload.userErrors.length > 0) throw new Error(JSON.stringify(answer));
    },
    // Holds it, as a machine that sleeps or a network that is gone: connections stay, and nothing is answered.
    hold: () => child.kill("SIGSTOP"),
    release: () => child.kill("SIGCONT"),
    // Ends it, and keeps its data.
    end: stop,
    async stop() {
      await stop();
      rmSync(folder, { recursive: true, force: true });
    },
    // Ends, and starts again at the same address with the same data.
    async replace() {
      await stop();
      return start(program, folder, address);
    },
  };
}
