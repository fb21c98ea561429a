// Starts GraphiQL with the token and the example operations that the page brings.
const { token, examples } = JSON.parse(document.getElementById("settings").textContent);
const headers = JSON.stringify({ Authorization: `Bearer ${token}` }, null, 2);

// Tabs are kept in the browser; a token kept there from an earlier run would have expired.
try {
  const kept = JSON.parse(localStorage.getItem("graphiql:tabState"));
  kept.tabs.forEach((tab) => { tab.headers = headers; });
  localStorage.setItem("graphiql:tabState", JSON.stringify(kept));
} catch { /* nothing is kept */ }

ReactDOM.createRoot(document.getElementById("graphiql")).render(
  React.createElement(GraphiQL, {
    fetcher: GraphiQL.createFetcher({ url: "/graphql" }),
    defaultTabs: examples.map((query) => ({ query, headers })),
    defaultHeaders: headers,
    defaultEditorToolsVisibility: true,
    shouldPersistHeaders: false,
  }),
);
