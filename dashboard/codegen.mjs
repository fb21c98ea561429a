// Types for the documents beside them, checked against the schema of the server, and the manifest by which the server knows them.
import { readdirSync } from "node:fs";

const scalars = {
  // Exact decimals and instants are strings: they are shown, and not calculated with.
  CurrencyCode: "string",
  Date: "string",
  DateOrDateTime: "string",
  DateTime: "string",
  Decimal: "string",
  EmailAddress: "string",
  TimeZone: "string",
  Upload: "File",
};
const all = readdirSync("src", { recursive: true, encoding: "utf8" })
  .filter((file) => file.endsWith(".graphql"))
  .map((file) => `src/${file}`)
  .sort();
const persisted = { "./codegen/persisted.cjs": { all } };

export default {
  schema: "../schema.graphql",
  documents: all,
  config: { scalars, strictScalars: true, enumsAsTypes: true, useTypeImports: true, nonOptionalTypename: true, skipTypeNameForRoot: true },
  generates: {
    "src/api/schema.generated.ts": { plugins: ["typescript"] },
    "src/": {
      preset: "near-operation-file",
      presetConfig: { baseTypesPath: "api/schema.generated.ts", extension: ".generated.ts" },
      plugins: ["typescript-operations", "typed-document-node", persisted],
    },
    "public/persisted-documents.json": { plugins: [persisted] },
  },
};
