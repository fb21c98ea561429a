// Relay's compiler on the committed schema; the texts that it persists run by their id on a server that takes no others.
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";

import { trusting } from "./trusting.mjs";

export default async function relay(server) {
  const folder = new URL("./generated/relay/", import.meta.url).pathname;
  mkdirSync(`${folder}src/__generated__`, { recursive: true });
  writeFileSync(`${folder}persisted.json`, "{}");
  const source = `
    import { graphql } from "relay-runtime";
    export const page = graphql\`
      query leadsPageQuery($first: Int, $after: String) { me { partner { ...leads_partner @arguments(first: $first, after: $after) } } }
    \`;
    export const list = graphql\`
      fragment leads_partner on Partner @refetchable(queryName: "leadsNextQuery")
        @argumentDefinitions(first: { type: "Int", defaultValue: 5 }, after: { type: "String" }) {
        leads(first: $first, after: $after) @connection(key: "leads_leads") { edges { node { id clientName status } } }
      }
    \`;
    export const changed = graphql\`subscription leadsChangedSubscription { leadChanged { cursor lead { id status } } }\`;
  `;
  writeFileSync(`${folder}src/leads.js`, source);
  const config = {
    src: "src",
    schema: "schema.graphql",
    language: "javascript",
    artifactDirectory: "src/__generated__",
    eagerEsModules: true,
    persistConfig: { file: "persisted.json", algorithm: "SHA256" },
  };
  writeFileSync(`${folder}schema.graphql`, readFileSync(new URL("../../schema.graphql", import.meta.url)));
  writeFileSync(`${folder}relay.config.json`, JSON.stringify(config));
  const compiler = new URL("./node_modules/relay-compiler/cli.js", import.meta.url).pathname;
  execFileSync(process.execPath, [compiler, "relay.config.json"], { cwd: folder, stdio: ["ignore", "ignore", "inherit"] });
  const persisted = JSON.parse(readFileSync(`${folder}persisted.json`, "utf8"));
  const id = Object.keys(persisted).find((id) => persisted[id].includes("query leadsPageQuery"));
  return trusting(server, `${folder}persisted.json`, id, { first: 2 }, (data) => data.me.partner.leads.edges.length === 2);
}
