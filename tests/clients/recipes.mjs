// The recipes of docs/clients.md: each is run as it is shown there.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";

import { generate } from "@graphql-codegen/cli";
import { buildSchema, parse, validate } from "graphql";
import WebSocket from "ws";

import * as apollo from "./recipes/apollo.mjs";
import * as codegen from "./recipes/codegen.mjs";
import * as live from "./recipes/live.mjs";
import * as plain from "./recipes/plain.mjs";
import { makePositions } from "./recipes/position.mjs";
import * as relay from "./recipes/relay.mjs";
import * as urql from "./recipes/urql.mjs";
import { ask, equal, soon, touchLead, whileTouching } from "./server.mjs";

const file = (path) => readFileSync(new URL(path, import.meta.url), "utf8");

export default async function recipes(server) {
  const getToken = async () => server.token("--expires-in", "60s");
  const api = { url: server.url, socketUrl: server.socket, getToken, webSocketImpl: WebSocket };
  const shown = file("../../docs/clients.md");
  for (const name of ["position", "apollo", "urql", "relay", "plain", "live", "event-source", "codegen"]) {
    if (!shown.includes(`\`\`\`js\n${file(`./recipes/${name}.mjs`)}\`\`\``)) throw new Error(`docs/clients.md does not show recipes/${name}.mjs as it is`);
  }
  await neverWithout();
  await endlessList(api);
  await withUrql(api, server);
  await withRelay(api);
  await withoutClient(api);
  for (const client of [live.sockets(api), live.streams(api)]) await upToDate(api, client, server);
  await generated();
  await collection(server);
  return "Apollo, urql, Relay, fetch, a live page over both transports, generated types, a collection";
}

// What a client knows of goes along with its requests: changes that were under way at the same time, then the one that came after them, and the last event.
async function neverWithout() {
  const original = globalThis.fetch;
  const sent = [];
  const answers = [];
  globalThis.fetch = async (_, { headers }) => {
    sent.push(headers.get("portal-position"));
    return new Promise((resolve) => answers.push((text) => resolve(new Response("{}", { headers: text ? { "portal-position": text } : {} }))));
  };
  const { portalFetch, message } = makePositions();
  const both = [portalFetch("/graphql"), portalFetch("/graphql")];
  answers[1]("b");
  answers[0]("a");
  await Promise.all(both);
  for (const text of ["c", null, null]) {
    const answer = portalFetch("/graphql", { headers: { accept: "application/json" } });
    answers.at(-1)(text);
    await answer;
  }
  for (const position of ["d", "e", undefined]) message({ type: "next", payload: { extensions: { position } } });
  message({ type: "pong" });
  const last = portalFetch("/graphql");
  answers.at(-1)(null);
  await last;
  globalThis.fetch = original;
  const sorted = sent.map((text) => text?.split(",").sort().join() ?? null);
  equal(JSON.stringify(sorted), '[null,null,"a,b","c","c","c,e"]', "what was said to be known");
}

async function endlessList(api) {
  const { client, stop } = apollo.makeClient(api);
  const query = client.watchQuery({ query: apollo.LEADS });
  await soon(new Promise((resolve) => query.subscribe(({ data, loading }) => data && !loading && resolve())), "the first page");
  await apollo.more(query);
  // The list receives what was fetched a moment later.
  await new Promise((resolve) => setTimeout(resolve, 200));
  const { edges } = query.getCurrentResult().data.leads;
  equal(edges.length, 40, "two pages of leads");
  equal(new Set(edges.map(({ node }) => node.id)).size, 40, "different leads");
  const lead = edges.map(({ node }) => node).find(({ status }) => status === "PENDING");
  const stepping = apollo.step(client, lead, "CONTACTED");
  const statusOf = () => query.getCurrentResult().data.leads.edges.find(({ node }) => node.id === lead.id).node.status;
  await new Promise((resolve) => setTimeout(resolve, 0));
  equal(statusOf(), "CONTACTED", "the status before the answer");
  equal((await stepping).length, 0, "user errors");
  // Not a way that a lead can go: it is shown, and taken back.
  equal((await apollo.step(client, { ...lead, status: "CONTACTED" }, "PENDING")).length, 1, "user errors");
  equal(statusOf(), "CONTACTED", "the status after a refusal");
  client.stop();
  await stop();
}

async function withUrql(api, server) {
  const { client, stop } = urql.makeClient(api);
  const { data, error } = await client.query("{ me { role } }", {}).toPromise();
  if (error) throw error;
  equal(data.me.role, "PARTNER_OWNER", "the role");
  const received = new Promise((resolve) => client.subscription("subscription { leadChanged { lead { id } } }", {}).subscribe(resolve));
  await whileTouching(server, received, "an event for urql");
  await stop();
}

async function withRelay(api) {
  const { environment, stop } = relay.makeEnvironment(api);
  const operation = { text: "query Me { me { role } }", name: "Me" };
  const answer = await environment.getNetwork().execute(operation, {}, {}).toPromise();
  equal(answer.data.me.role, "PARTNER_OWNER", "the role");
  await stop();
}

async function withoutClient(api) {
  const { me } = await plain.ask(api, "{ me { role } }");
  equal(me.role, "PARTNER_OWNER", "the role");
  const refused = await plain.ask(api, "{ nothing }").catch((error) => error);
  equal(refused.code, "BAD_USER_INPUT", "the code");
  const lead = { clientName: "Ada Byron", clientEmail: "ada@example.com", service: "Plan" };
  const key = crypto.randomUUID();
  const first = await plain.sendLead(api, lead, key);
  const again = await plain.sendLead(api, lead, key);
  equal(`${first.replayed} ${again.replayed} ${first.lead.id === again.lead.id}`, "false true true", "the lead is sent once");
  const members = new File(["email,first_name\nada@example.com,Ada\n"], "members.csv", { type: "text/csv" });
  const { import: report, userErrors } = await plain.importMembers(api, members, true);
  equal(JSON.stringify(userErrors), "[]", "user errors");
  equal(report.rowCount, 1, "the rows of the file");
}

async function upToDate(api, client, server) {
  let changed;
  const received = [];
  const readPage = async () => {
    const { eventCursor } = await plain.ask(api, "{ eventCursor leads(first: 1) { nodes { id } } }");
    // Between the query and the stream.
    changed = await touchLead(server);
    return eventCursor;
  };
  let heard;
  const first = new Promise((resolve) => (heard = resolve));
  const stop = live.keepUpToDate(client, readPage, (change) => heard(received.push(change)));
  await soon(first, "a change");
  equal(received[0].lead.id, changed, "the lead that was changed before the stream was open");
  stop();
  await client.dispose();
}

async function generated() {
  const folder = new URL("./generated/recipe/", import.meta.url).pathname;
  mkdirSync(folder, { recursive: true });
  writeFileSync(`${folder}page.ts`, 'import { graphql } from "./types";\nexport const page = graphql(`query Page($created: PeriodInput) { leads(filter: { created: $created }) { nodes { id dealValue { amount } createdAt } } }`);\n');
  const schema = new URL("../../schema.graphql", import.meta.url).pathname;
  await generate({ ...codegen.config(schema, `${folder}page.ts`, `${folder}types/`), silent: true }, true);
  const types = readFileSync(`${folder}types/graphql.ts`, "utf8");
  if (!/createdAt: string/.test(types)) throw new Error("an instant is no string in the generated types");
}

// What Postman and Bruno import: every operation in it is one of the schema's, and runs.
async function collection(server) {
  const schema = buildSchema(file("../../schema.graphql"));
  const { item } = JSON.parse(file("../../docs/partner-portal.postman_collection.json"));
  for (const { name, request } of item) {
    const { query, variables } = request.body.graphql;
    const [fault] = validate(schema, parse(query));
    if (fault) throw new Error(`${name}: ${fault.message}`);
    const { errors } = await ask(server, server.partner, { query, variables: JSON.parse(variables) });
    if (errors) throw new Error(`${name}: ${errors[0].message}`);
  }
}
