// A plugin of GraphQL Code Generator: each operation's id, by which the server knows its text. Beside an operation's types it registers the id; alone in
// a JSON file it writes the manifest, which the server reads (PORTAL_TRUSTED_MANIFEST, or persisted-documents.json in the dashboard's folder).
const { createHash } = require("node:crypto");
const { readFileSync } = require("node:fs");
const { dirname, relative } = require("node:path");
const { Kind, parse, print, visit } = require("graphql");

const FIELD = { kind: Kind.FIELD, name: { kind: Kind.NAME, value: "__typename" } };

// The cache asks for every object's type.
function withTypes(definition) {
  return visit(definition, {
    SelectionSet(node, _key, parent) {
      if (parent?.kind === Kind.OPERATION_DEFINITION) return undefined;
      return { ...node, selections: [...node.selections, FIELD] };
    },
  });
}

function spreads(definition) {
  const names = [];
  const enter = (node) => {
    if (node.kind === Kind.FRAGMENT_SPREAD) names.push(node.name.value);
  };
  visit(definition, { enter });
  return names;
}

// The operation, then the fragments that it needs, by name.
function textOf(operation, fragments) {
  const needed = new Map();
  const collect = (definition) => {
    for (const name of spreads(definition)) {
      if (needed.has(name)) continue;
      const fragment = fragments.get(name);
      if (!fragment) throw new Error(`there is no fragment ${name}`);
      needed.set(name, fragment);
      collect(fragment);
    }
  };
  collect(operation);
  const sorted = [...needed].sort(([one], [other]) => (one < other ? -1 : 1)).map(([, fragment]) => fragment);
  return [operation, ...sorted].map((definition) => print(withTypes(definition))).join("\n");
}

module.exports = {
  plugin(_schema, documents, config, info) {
    const all = config.all.map((file) => parse(readFileSync(file, "utf8"))).flatMap(({ definitions }) => definitions);
    const fragments = new Map(
      all.filter(({ kind }) => kind === Kind.FRAGMENT_DEFINITION).map((fragment) => [fragment.name.value, fragment]),
    );
    const own = documents.flatMap(({ document }) => document.definitions).filter(({ kind }) => kind === Kind.OPERATION_DEFINITION);
    const texts = own.map((operation) => [operation.name.value, textOf(operation, fragments)]);
    const ids = texts.map(([name, text]) => [name, createHash("sha256").update(text).digest("hex"), text]);
    if (info.outputFile.endsWith(".json")) return JSON.stringify(Object.fromEntries(ids.map(([, id, text]) => [id, text])), null, 1);
    if (ids.length === 0) return "";
    const to = relative(dirname(info.outputFile), "src/api/persisted").replaceAll("\\", "/");
    const lines = ids.map(([name, id]) => `documentIds.set("${name}", "${id}");`);
    return { prepend: [`import { documentIds } from "${to.startsWith(".") ? to : `./${to}`}";`], content: lines.join("\n") };
  },
};
