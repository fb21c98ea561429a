// The reference clients of graphql-sse, and of what was missed.
import { createClient } from "graphql-sse";

import { equal, soon, touchLead, whileTouching } from "./server.mjs";

export default async function streams(server) {
  const client = createClient({ url: server.url, headers: { authorization: `Bearer ${server.partner}` } });
  const query = "subscription ($since: String) { leadChanged(since: $since) { cursor lead { id } } }";
  const first = client.iterate({ query });
  const received = first.next();
  const { value: first_told, id } = await whileTouching(server, received, "the event");
  const { value } = first_told;
  equal(value.data.leadChanged.lead.id, id, "the lead of the event");
  await first.return();
  await touchLead(server);
  const later = client.iterate({ query, variables: { since: value.data.leadChanged.cursor } });
  equal((await soon(later.next(), "what was missed")).value.data.leadChanged.lead.id, id, "the lead that was missed");
  await later.return();
  client.dispose();
  return "an event, and one that was missed";
}
