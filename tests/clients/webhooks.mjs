// What the server sends, checked by the libraries that receivers use, and what senders' libraries sign, taken by the server: Svix's, Stripe's and that of
// Standard Webhooks.
import { createServer } from "node:http";

import { Webhook as Standard } from "standardwebhooks";
import Stripe from "stripe";
import { Webhook as Svix } from "svix";

import { ask, equal, soon } from "./server.mjs";

// A receiver on this machine, and the first message that it gets.
function receiver() {
  return new Promise((resolve) => {
    let server;
    const message = new Promise((received) => {
      server = createServer(async (request, response) => {
        const parts = [];
        for await (const part of request) parts.push(part);
        response.writeHead(204).end();
        received({ headers: request.headers, body: Buffer.concat(parts).toString() });
      });
    });
    server.listen(0, "127.0.0.1", () => resolve({ url: `http://127.0.0.1:${server.address().port}/hooks`, message, close: () => server.close() }));
  });
}

export default async function webhooks(server) {
  await outgoing(server);
  await incoming(server);
  return "signatures by Svix, Standard Webhooks and Stripe, both ways";
}

async function outgoing(server) {
  const { url, message, close } = await receiver();
  try {
    const query = `mutation ($url: String!) {
      createWebhookEndpoint(input: { url: $url, eventTypes: [LEAD_UPDATED], idempotencyKey: "clients" }) { endpoint { id } secret userErrors { message } }
    }`;
    const made = await ask(server, server.operator, { query, variables: { url } });
    const { endpoint, secret } = made.data.createWebhookEndpoint;
    const test = `mutation ($id: ID!) { sendTestWebhook(input: { id: $id, idempotencyKey: "clients" }) { userErrors { message } } }`;
    await ask(server, server.operator, { query: test, variables: { id: endpoint.id } });
    const { headers, body } = await soon(message, "the message");
    equal(JSON.parse(body).type, "ping", "the type");
    for (const Library of [Svix, Standard]) {
      // It throws where the signature is wrong.
      new Library(secret).verify(body, headers);
      let refused = false;
      try {
        new Library(secret).verify(body.replace("ping", "pong"), headers);
      } catch {
        refused = true;
      }
      equal(refused, true, "a changed body is refused");
    }
  } finally {
    close();
  }
}

// A source with its secret; gives its address.
async function source(server, kind, secret) {
  const query = `mutation ($input: CreateWebhookSourceInput!) { createWebhookSource(input: $input) { source { id } userErrors { message } } }`;
  const made = await ask(server, server.operator, { query, variables: { input: { kind, secret, idempotencyKey: `clients-${kind}` } } });
  return new URL(`/webhooks/${made.data.createWebhookSource.source.id}`, server.url);
}

async function incoming(server) {
  const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
  const post = async (address, body, headers) => (await fetch(address, { method: "POST", body, headers })).status;
  const clerk = await source(server, "CLERK", secret);
  const user = JSON.stringify({ type: "session.created", data: { id: "sess_1" } });
  for (const [Library, prefix] of [[Svix, "svix"], [Standard, "webhook"]]) {
    const sign = (body) => {
      const [id, now] = [`msg_${prefix}`, new Date()];
      const time = Math.floor(now.getTime() / 1000).toString();
      return { [`${prefix}-id`]: id, [`${prefix}-timestamp`]: time, [`${prefix}-signature`]: new Library(secret).sign(id, now, body) };
    };
    equal(await post(clerk, user, sign(user)), 204, `an event signed by ${prefix}`);
    equal(await post(clerk, user, sign(`${user} `)), 400, `a changed event signed by ${prefix}`);
  }
  const address = await source(server, "STRIPE", "whsec_test_12345678901234567890");
  const stripe = new Stripe("sk_test_none");
  const event = JSON.stringify({ id: "evt_clients", object: "event", type: "ping", created: Math.floor(Date.now() / 1000) });
  const sign = (secret) => ({ "stripe-signature": stripe.webhooks.generateTestHeaderString({ payload: event, secret }) });
  equal(await post(address, event, sign("whsec_test_12345678901234567890")), 204, "an event signed by Stripe");
  equal(await post(address, event, sign("whsec_test_00000000000000000000")), 400, "an event signed with another secret");
}
