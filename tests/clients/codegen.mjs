// GraphQL Code Generator with its client preset: types, and a manifest of persisted documents.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";

import { generate } from "@graphql-codegen/cli";

import { trusting } from "./trusting.mjs";

export default async function codegen(server) {
  const folder = new URL("./generated/codegen/", import.meta.url).pathname;
  mkdirSync(folder, { recursive: true });
  const query = "query Dashboard { dashboard { partner { companyName } stats { totalLeads } } }";
  writeFileSync(`${folder}dashboard.ts`, `import { graphql } from "./types";\nexport const dashboard = graphql(\`${query}\`);\n`);
  const schema = new URL("../../schema.graphql", import.meta.url).pathname;
  await generate(
    {
      schema,
      documents: `${folder}dashboard.ts`,
      generates: { [`${folder}types/`]: { preset: "client", presetConfig: { persistedDocuments: { hashAlgorithm: "sha256" } } } },
      silent: true,
      config: { scalars: { Decimal: "string", DateTime: "string" } },
    },
    true,
  );
  const types = readFileSync(`${folder}types/graphql.ts`, "utf8");
  if (!types.includes("export type DashboardQuery")) throw new Error("there is no type of the query");
  const manifest = `${folder}types/persisted-documents.json`;
  const [id] = Object.keys(JSON.parse(readFileSync(manifest, "utf8")));
  return trusting(server, manifest, id, {}, (data) => data.dashboard.partner.companyName === "Delta Partners");
}
