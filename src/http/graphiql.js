// Starts GraphiQL with the token and the example operations that the page brings.
const { token, examples } = JSON.parse(document.getElementById("settings").textContent);
const socket = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/graphql`;
const headers = JSON.stringify({ Authorization: `Bearer ${token}` }, null, 2);

// Tabs are kept in the browser; a token kept there from an earlier run would have expired.
try {
  const kept = JSON.parse(localStorage.getItem("graphiql:tabState"));
  kept.tabs.forEach((tab) => { tab.headers = headers; });
  localStorage.setItem("graphiql:tabState", JSON.stringify(kept));
} catch { /* nothing is kept */ }

ReactDOM.createRoot(document.getElementById("graphiql")).render(
  React.createElement(GraphiQL, {
    // The page asks for the schema before a tab has headers; a tab's own headers count before these.
    fetcher: GraphiQL.createFetcher({ url: "/graphql", subscriptionUrl: socket, headers: JSON.parse(headers), wsConnectionParams: JSON.parse(headers) }),
    defaultTabs: examples.map((query) => ({ query, headers })),
    defaultHeaders: headers,
    defaultEditorToolsVisibility: true,
    shouldPersistHeaders: false,
  }),
);
