// `schema.graphql` is what introspection says: to GraphQL Inspector, and to the letter as graphql-js prints both. And it is as Relay wants it.
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";

import { diff } from "@graphql-inspector/core";
import { buildClientSchema, buildSchema, getIntrospectionQuery, lexicographicSortSchema, printSchema } from "graphql";

import { ask, equal } from "./server.mjs";

const path = new URL("../../schema.graphql", import.meta.url).pathname;

const lint = (path) => execFileSync(process.execPath, [new URL("./lint.mjs", import.meta.url).pathname, path], { encoding: "utf8" });

export default async function contract(server) {
  const committed = readFileSync(path, "utf8");
  const introspection = getIntrospectionQuery({ specifiedByUrl: true, schemaDescription: true, inputValueDeprecation: true, directiveIsRepeatable: true });
  const { data } = await ask(server, server.operator, { query: introspection });
  // Printed and read once more: introspection knows no applied directives, and so no @specifiedBy to compare.
  const [received, written] = [buildSchema(printSchema(buildClientSchema(data))), buildSchema(committed)];
  equal(JSON.stringify(await diff(written, received)), "[]", "the differences that GraphQL Inspector finds");
  const printed = (schema) => printSchema(lexicographicSortSchema(schema));
  equal(printed(received), printed(written), "introspection");
  equal(received.description?.length > 100, true, "the schema has a description of its own");
  equal(lint(path), "", "what the Relay lint finds");
  const broken = new URL("./generated/broken.graphql", import.meta.url).pathname;
  mkdirSync(new URL("./generated/", import.meta.url), { recursive: true });
  writeFileSync(broken, committed.replace("type Lead implements Node {", "type Lead {"));
  equal(lint(broken).includes("must implement `Node`"), true, "that the lint would find a row that is no Node");
  return `${Object.keys(received.getTypeMap()).length} types, no difference, nothing for the lint`;
}
