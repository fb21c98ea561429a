// Starts GraphiQL with the token and the example operations that the page brings.
const { token, examples } = JSON.parse(document.getElementById("settings").textContent);
const socket = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/graphql`;
const headers = JSON.stringify({ Authorization: `Bearer ${token}` }, null, 2);

// Tabs are kept in the browser, without their headers: a token from an earlier run would have expired, and the page's own is sent by itself.
try {
  const kept = JSON.parse(localStorage.getItem("graphiql:tabState"));
  kept.tabs.forEach((tab) => { tab.headers = null; });
  localStorage.setItem("graphiql:tabState", JSON.stringify(kept));
  // GraphiQL opens one more where what it kept of its editors is no tab of these.
  const active = kept.tabs[kept.activeTabIndex];
  for (const part of ["query", "variables"]) {
    if (active[part]) localStorage.setItem(`graphiql:${part}`, active[part]);
    else localStorage.removeItem(`graphiql:${part}`);
  }
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
