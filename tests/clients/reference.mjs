// Documents and values, right and wrong, judged by the server and by graphql-js, the reference implementation: both must say the same.
//
// A document is made by walking the schema, and most are then spoiled in one place. It is sent with the name of an operation that no document
// has: what is valid is refused for that alone, and nothing runs.
import { readFileSync } from "node:fs";

import {
  buildSchema, getNamedType, getVariableValues, GraphQLError, isCompositeType, isEnumType, isInputObjectType, isListType, isNonNullType, isScalarType,
  isRequiredArgument, isRequiredInputField, isSpecifiedScalarType, parse, specifiedRules, validate,
} from "graphql";

const DOCUMENTS = 4000;
const VALUES = 1500;
const SEED = Number(process.env.SEED ?? 16);

// Values of the scalars that are the schema's own. graphql-js, which knows them by name alone, takes anything for them.
const SCALARS = {
  Int: ["0", "5", "-3", "2147483647"], Float: ["1.5"], Boolean: ["true", "false"], String: ['"a"', '""', '"""b"""', '"\\u00e9\\uD83D\\uDE00"', '"\\u{1F600}"'],
  ID: ['"lead_01h455vb4pex5vsknk084sn02q"'], Decimal: ['"1.50"'], DateTime: ['"2026-01-01T00:00:00Z"'], Date: ['"2026-01-01"'],
  CurrencyCode: ['"EUR"'], TimeZone: ['"Europe/Berlin"'], DateOrDateTime: ['"2026-01-01"'], EmailAddress: ['"a@example.com"'], Upload: [],
};

// Small and repeatable (mulberry32).
function random(seed) {
  let state = seed;
  const next = () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  return { chance: (p) => next() < p, below: (n) => Math.floor(next() * n), pick: (list) => list[Math.floor(next() * list.length)] };
}

class Maker {
  constructor(schema, dice) {
    Object.assign(this, { schema, dice, count: 0 });
  }

  document() {
    Object.assign(this, { variables: [], fragments: [] });
    const kind = this.dice.pick(["query", "query", "query", "mutation", "subscription"]);
    const root = { query: this.schema.getQueryType(), mutation: this.schema.getMutationType(), subscription: this.schema.getSubscriptionType() }[kind];
    const body = this.selections(root, 3, kind === "subscription" ? 1 : 3);
    const declared = this.variables.map(({ name, type, value }) => `$${name}: ${type}${value ? ` = ${value}` : ""}`);
    const head = kind === "query" && !declared.length && this.dice.chance(0.5) ? "" : `${kind} Q${declared.length ? `(${declared.join(", ")})` : ""} `;
    return [`${head}${body}`, ...this.fragments].join(" ");
  }

  selections(type, depth, most) {
    const fields = Object.values(type.getFields?.() ?? {}).filter((field) => depth > 0 || !isCompositeType(getNamedType(field.type)));
    const picked = Array.from({ length: 1 + this.dice.below(most) }, () => this.dice.pick(fields)).filter(Boolean);
    const parts = picked.map((field) => this.field(field, depth));
    if (most > 1 && this.dice.chance(0.15)) parts.push("__typename");
    if (most > 1 && this.dice.chance(0.15)) parts.push(`... ${this.dice.chance(0.5) ? `on ${type.name} ` : ""}{ ${this.field(this.dice.pick(fields) ?? picked[0], depth)} }`);
    if (most > 1 && this.dice.chance(0.1)) {
      const name = `F${this.count++}`;
      this.fragments.push(`fragment ${name} on ${type.name} ${this.selections(type, depth - 1, 2)}`);
      parts.push(`...${name}`);
    }
    if (type.name === "Node" && this.dice.chance(0.7)) {
      const possible = this.schema.getPossibleTypes(type);
      for (const other of [this.dice.pick(possible), this.dice.pick(possible)]) parts.push(`... on ${other.name} ${this.selections(other, depth - 1, 2)}`);
    }
    return `{ ${parts.filter((part) => !part.includes("undefined")).join(" ") || "__typename"} }`;
  }

  field(field, depth) {
    if (!field) return "__typename";
    const alias = this.dice.chance(0.25) ? `${this.dice.pick(["a", "b", "c"])}: ` : "";
    const given = field.args.filter((argument) => isRequiredArgument(argument) || this.dice.chance(0.3));
    const args = given.map((argument) => `${argument.name}: ${this.value(argument.type, 3, argument.defaultValue !== undefined)}`);
    const directive = this.dice.chance(0.05) ? ` @${this.dice.pick(["include", "skip"])}(if: ${this.dice.pick(["true", "false"])})` : "";
    const below = isCompositeType(getNamedType(field.type)) ? ` ${this.selections(getNamedType(field.type), depth - 1, 3)}` : "";
    return `${alias}${field.name}${args.length ? `(${args.join(", ")})` : ""}${directive}${below}`;
  }

  value(type, depth, hasDefault) {
    if (this.dice.chance(0.15)) {
      const name = `v${this.count++}`;
      const loose = hasDefault && isNonNullType(type) && this.dice.chance(0.5);
      const value = isNonNullType(type) || depth < 1 ? undefined : this.dice.chance(0.2) ? this.constant(type) : undefined;
      this.variables.push({ name, type: loose ? type.ofType : type, value });
      return `$${name}`;
    }
    return this.constant(type, depth);
  }

  constant(type, depth = 1) {
    if (isNonNullType(type)) return this.constant(type.ofType, depth);
    if (isListType(type)) return this.dice.chance(0.2) ? this.constant(type.ofType, depth) : `[${Array.from({ length: this.dice.below(3) }, () => this.constant(type.ofType, depth)).join(", ")}]`;
    if (isEnumType(type)) return this.dice.pick(type.getValues()).name;
    if (isInputObjectType(type)) {
      const fields = Object.values(type.getFields()).filter((field) => isRequiredInputField(field) || (depth > 0 && this.dice.chance(0.3)));
      return `{ ${fields.map((field) => `${field.name}: ${depth > 1 ? this.value(field.type, depth - 1, field.defaultValue !== undefined) : this.constant(field.type, depth - 1)}`).join(", ")} }`;
    }
    return this.dice.pick(SCALARS[type.name] ?? []) ?? "null";
  }

  // Spoils a document in one place, perhaps.
  spoil(text) {
    const tokens = text.match(/"""[^]*?"""|"(?:[^"\\]|\\.)*"|\.\.\.|[A-Za-z_]\w*|-?\d+(?:\.\d+)?|\s+|./g) ?? [];
    const at = this.dice.below(tokens.length);
    const names = [...new Set(tokens.filter((token) => /^[A-Za-z_]/.test(token)))];
    const odd = ["{", "}", "(", ")", "[", "]", ":", "!", "$", "@", "...", "=", "null", "true", "5", "-1", "1.5", "01", "3000000000", "1e3", '"x"', '"\\u{110000}"', '"\\uD83D"', '"""', "#", "on", "fragment",
      "query", "mutation", "@skip(if: true)", "@include(if: 5)", "@skip", "@deprecated", "@nothing", "@skip(if: true) @skip(if: false)", "&", "|", ";", "é", "\u0000", "\ufeff", "%", "nope: 1", "$nope", "...Nope", "... on Nope { a }", "LOST", "ASC"];
    switch (this.dice.below(7)) {
      case 0: tokens.splice(at, 1); break;
      case 1: tokens.splice(at, 0, this.dice.pick(odd)); break;
      case 2: tokens[at] = this.dice.pick(odd); break;
      case 3: tokens.splice(at, 0, tokens[at], " "); break;
      case 4: tokens[at] = this.dice.pick(names); break;
      case 5: { const to = this.dice.below(tokens.length); [tokens[at], tokens[to]] = [tokens[to], tokens[at]]; break; }
      case 6: tokens.splice(at, 0, " ", this.dice.pick(names), " "); break;
    }
    return tokens.join("");
  }
}

// What graphql-js says of a document: nothing where it is valid.
function judged(schema, text) {
  try {
    return validate(schema, parse(text), specifiedRules).map((error) => error.message);
  } catch (error) {
    if (error instanceof GraphQLError) return [error.message];
    throw error;
  }
}

const isOwnScalar = (schema, name) => name === "ID" || (isScalarType(schema.getType(name ?? "")) && !isSpecifiedScalarType(schema.getType(name)));

// Where we differ, and mean to.
const MEANT = [
  // A value of one of the schema's own scalars that is none: graphql-js does not know their rules.
  ({ ours, schema }) => ours.length > 0 && ours.every(({ message, extensions }) => extensions.field && (isOwnScalar(schema, message.match(/ is no (\w+)[:.]/)?.[1]) || /is not an id|is the id of a/.test(message))),
  // "A subscription's root takes neither @skip nor @include" is a rule of September 2025, which graphql-js 16 does not have.
  ({ ours, theirs, text }) => theirs.length === 0 && /subscription/.test(text) && ours.some(({ message }) => /@skip or @include on root fields/.test(message)),
  // Null for a variable whose place has a default: graphql-js runs the operation, and the field fails. Here nothing runs.
  ({ ours, theirs }) => theirs.length === 0 && ours.length > 0 && ours.every(({ message }) => /null is none/.test(message)),
  // A comma after three dots, which nobody writes: our parser does not pass over it.
  ({ ours, text }) => ours.length === 1 && /expected an Inline Fragment or a Fragment Spread/.test(ours[0].message) && /\.\.\.\s*,/.test(text),
];

export default async function reference(server) {
  const schema = buildSchema(readFileSync(new URL("../../schema.graphql", import.meta.url), "utf8"));
  const dice = random(SEED);
  const maker = new Maker(schema, dice);
  const ask = async (body) => {
    const headers = { "content-type": "application/json", accept: "application/graphql-response+json", authorization: `Bearer ${server.operator}` };
    return (await fetch(server.url, { method: "POST", headers, body: JSON.stringify(body) })).json();
  };
  const tally = { valid: 0, invalid: 0, meant: 0, skipped: 0 };
  const differences = [];
  for (let n = 0; n < DOCUMENTS; n++) {
    let text = maker.document();
    for (let times = dice.below(3); times > 0; times--) text = maker.spoil(text);
    const theirs = judged(schema, text);
    const { errors = [] } = await ask({ query: text, operationName: "none" });
    const code = errors[0]?.extensions.code;
    // What is too large to be looked at is refused for that.
    if (code === "QUERY_TOO_COMPLEX") { tally.skipped += 1; continue; }
    if (code === "RATE_LIMITED") throw new Error("the server's rate is too low for this");
    const ours = errors.filter(({ message }) => !/operation of the name "none"/.test(message));
    if ((ours.length === 0) === (theirs.length === 0)) tally[theirs.length === 0 ? "valid" : "invalid"] += 1;
    else if (MEANT.some((meant) => meant({ ours, theirs, text, schema }))) tally.meant += 1;
    else differences.push({ text, ours: ours.map(({ message }) => message), theirs });
  }

  // Values of variables: what is refused has no `data`. They are of arguments whose fields change nothing.
  const places = [
    ["$v: Int", "leads(first: $v) { totalCount }"], ["$v: Int!", "leads(first: $v) { totalCount }"], ["$v: Interval", "earningsOverTime(interval: $v) { start }"],
    ["$v: Interval!", "earningsOverTime(interval: $v) { start }"], ["$v: LeadFilter", "leads(filter: $v) { totalCount }"], ["$v: [LeadStatus!]", "leads(filter: { status: $v }) { totalCount }"],
    ["$v: LeadOrder", "leads(orderBy: $v) { totalCount }"], ["$v: String", "leads(filter: { search: $v }) { totalCount }"], ["$v: Boolean!", "me { role @include(if: $v) }"],
    ["$v: Boolean", "me { partner { users(includeRemoved: $v) { role } } }"], ["$v: [ID!]!", "nodes(ids: $v) { id }"], ["$v: CommissionFilter", "commissions(filter: $v) { totalCount }"],
    ["$v: Boolean = true", "me { role @skip(if: $v) }"], ["$v: Int! = 3", "leads(first: $v) { totalCount }"], ["$v: OrderDirection = ASC", "leads(orderBy: { field: CREATED_AT, direction: $v }) { totalCount }"],
  ];
  const leaves = [null, true, false, 0, 5, -1, 1.5, 2147483648, 9007199254740993, "", "a", "LOST", "MONTH", "lost", "CREATED_AT", "ASC", "5"];
  const json = (depth) => {
    if (depth === 0 || dice.chance(0.5)) return dice.pick(leaves);
    if (dice.chance(0.4)) return Array.from({ length: dice.below(3) }, () => json(depth - 1));
    const names = ["status", "search", "field", "direction", "eventType", "nope", "partnerId"];
    return Object.fromEntries(Array.from({ length: dice.below(3) }, () => [dice.pick(names), json(depth - 1)]));
  };
  for (let n = 0; n < VALUES; n++) {
    const [declared, field] = dice.pick(places);
    const variables = dice.chance(0.1) ? {} : { v: json(3) };
    const query = `query (${declared}) { a: __typename ${field} }`;
    const definitions = parse(query).definitions[0].variableDefinitions;
    const { errors: theirs = [] } = getVariableValues(schema, definitions, variables);
    const answer = await ask({ query, variables });
    if (answer.errors?.[0]?.extensions.code === "RATE_LIMITED") throw new Error("the server's rate is too low for this");
    const ours = "data" in answer ? [] : answer.errors;
    if ((ours.length === 0) === (theirs.length === 0)) tally[theirs.length === 0 ? "valid" : "invalid"] += 1;
    else if (MEANT.some((meant) => meant({ ours, theirs, schema }))) tally.meant += 1;
    else differences.push({ text: `${query} ${JSON.stringify(variables)}`, ours: ours.map(({ message }) => message), theirs: theirs.map(({ message }) => message) });
  }
  for (const { text, ours, theirs } of differences.slice(0, 20)) console.error(`  ${text}\n    we: ${ours.join(" | ") || "valid"}\n    graphql-js: ${theirs.join(" | ") || "valid"}`);
  const said = `${tally.valid} valid and ${tally.invalid} invalid as graphql-js says, ${tally.meant} differ as they are meant to, ${tally.skipped} too large`;
  if (differences.length > 0) throw new Error(`${differences.length} differ; ${said}`);
  if (tally.meant + tally.skipped > (DOCUMENTS + VALUES) / 10) throw new Error(`too few are compared: ${said}`);
  if (tally.valid < 500 || tally.invalid < 500) throw new Error(`too few of one kind: ${said}`);
  return said;
}
