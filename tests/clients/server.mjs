// A server of the real program, with demo data of its own, on a free port.
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

export async function start(program, settings = {}, { folder = mkdtempSync(join(tmpdir(), "portal-")), listen = "127.0.0.1:0" } = {}) {
  const { DATABASE_URL, CLERK_ISSUER, PORTAL_LISTEN, ...inherited } = process.env;
  const env = { ...inherited, PORTAL_DATA_DIR: folder, PORTAL_LOG: "warn", ...settings };
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
  const token = (...options) => execFileSync(program, ["token", ...options], { env, encoding: "utf8" }).trim();
  return {
    program,
    url: `http://${address}/graphql`,
    socket: `ws://${address}/graphql`,
    page: `http://${address}/graphiql`,
    partner: token(),
    operator: token("--role", "operator"),
    token,
    async stop() {
      child.kill("SIGTERM");
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
    // Stops, and starts again in the same place with the same data.
    async replace() {
      child.kill("SIGTERM");
      await ended;
      return start(program, settings, { folder, listen: address });
    },
  };
}

// One operation without any client library.
export async function ask(server, token, body) {
  const headers = { "content-type": "application/json", authorization: `Bearer ${token}` };
  const response = await fetch(server.url, { method: "POST", headers, body: JSON.stringify(body) });
  return response.json();
}

// Changes the notes of a lead, so that something is reported.
export async function touchLead(server) {
  const { data } = await ask(server, server.partner, { query: "{ leads(first: 1) { nodes { id } } }" });
  const id = data.leads.nodes[0].id;
  const query = "mutation ($id: ID!, $notes: String) { updateLead(input: { id: $id, notes: $notes }) { lead { id } userErrors { message } } }";
  const answer = await ask(server, server.partner, { query, variables: { id, notes: `touched at ${Date.now()}` } });
  if (answer.errors || answer.data.updateLead.userErrors.length > 0) throw new Error(JSON.stringify(answer));
  return id;
}

// Changes a lead again and again until the promise has what it waits for: nobody knows when a subscription is open.
export async function whileTouching(server, promise, what) {
  let done = false;
  const touching = (async () => {
    let id;
    while (!done) {
      id = await touchLead(server);
      await new Promise((resolve) => setTimeout(resolve, 400));
    }
    return id;
  })();
  try {
    const value = await soon(promise, what);
    done = true;
    return { value, id: await touching };
  } finally {
    done = true;
  }
}

export function equal(actual, expected, what) {
  if (actual !== expected) throw new Error(`${what}: ${JSON.stringify(actual)} is not ${JSON.stringify(expected)}`);
}

// Waits for a promise, not for ever.
export function soon(promise, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} took more than 20 seconds`)), 20_000);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
