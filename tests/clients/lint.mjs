// What the rules of Relay's connections, edges and nodes find in a schema: `node lint.mjs SCHEMA` prints one fault a line.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

// Not imported: the plugin must come with the same copy of graphql-js as what reads its schema.
const require = createRequire(import.meta.url);
const { Linter } = require("eslint");
const plugin = require("@graphql-eslint/eslint-plugin");

const path = process.argv[2];
const config = {
  files: ["**/*.graphql"],
  languageOptions: { parser: plugin.parser, parserOptions: { graphQLConfig: { schema: path } } },
  plugins: { "@graphql-eslint": plugin },
  rules: {
    "@graphql-eslint/relay-arguments": ["error", { includeBoth: true }],
    "@graphql-eslint/relay-connection-types": "error",
    // A plain list is no connection, and need not be one.
    "@graphql-eslint/relay-edge-types": ["error", { withEdgeSuffix: true, shouldImplementNode: true, listTypeCanWrapOnlyEdgeType: false }],
    "@graphql-eslint/relay-page-info": "error",
  },
};
for (const fault of new Linter({ configType: "flat", cwd: "/" }).verify(readFileSync(path, "utf8"), [config], { filename: path })) {
  console.log(`${fault.line}: ${fault.message}`);
}
