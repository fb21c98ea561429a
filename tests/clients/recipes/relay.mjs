// Relay: the network layer. Ids are global, every row of a connection is a `Node`, and `node` and `nodes` fetch them again.
import { createClient } from "graphql-ws";
import relay from "relay-runtime";

import { makePositions } from "./position.mjs";

const { Environment, Network, Observable, RecordSource, Store } = relay;

export function makeEnvironment({ url, socketUrl, getToken, webSocketImpl }) {
  const { portalFetch, message } = makePositions();
  // An operation is its text, or where the compiler persists texts (`persistConfig`), its id in the server's manifest.
  const body = (operation, variables) =>
    operation.text ? { query: operation.text, operationName: operation.name, variables } : { documentId: operation.id, variables };
  const fetchQuery = async (operation, variables) => {
    const headers = { "content-type": "application/json", authorization: `Bearer ${await getToken()}` };
    const response = await portalFetch(url, { method: "POST", headers, body: JSON.stringify(body(operation, variables)) });
    return response.json();
  };
  const socket = createClient({
    url: socketUrl,
    webSocketImpl,
    connectionParams: async () => ({ authorization: `Bearer ${await getToken()}` }),
    retryAttempts: Infinity,
    on: { message },
  });
  const subscribe = (operation, variables) => Observable.create((sink) => socket.subscribe(body(operation, variables), sink));
  const environment = new Environment({ network: Network.create(fetchQuery, subscribe), store: new Store(new RecordSource()) });
  return { environment, stop: () => socket.dispose() };
}
