// What the server sends, checked by the libraries that receivers use: Svix's and that of Standard Webhooks.
import { createServer } from "node:http";

import { Webhook as Standard } from "standardwebhooks";
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
    return "signatures by Svix and Standard Webhooks";
  } finally {
    close();
  }
}
