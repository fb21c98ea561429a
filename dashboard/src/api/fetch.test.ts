import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { Session } from "../auth/session";
import { makeFetch } from "./fetch";
import { Positions } from "./positions";

const session = (): Session & { asked: (string | undefined)[] } => {
  const asked: (string | undefined)[] = [];
  return {
    asked,
    isOperator: false,
    getToken: async (refused) => {
      asked.push(refused);
      return refused ? "second" : "first";
    },
    signOut: async () => {},
  };
};

const answer = (status: number, headers: Record<string, string> = {}) => new Response("{}", { status, headers });
let answers: (Response | Error)[] = [];
const sent: Headers[] = [];

beforeEach(() => {
  vi.useFakeTimers();
  sent.length = 0;
  vi.stubGlobal("fetch", async (_url: string, options: RequestInit) => {
    sent.push(new Headers(options.headers));
    const next = answers.shift();
    if (!next) throw new Error("nothing is answered any more");
    if (next instanceof Error) throw next;
    return next;
  });
});

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

async function ask(given: (Response | Error)[], positions = new Positions(), who = session()) {
  answers = given;
  const asking = makeFetch(who, positions)("/graphql", { method: "POST" });
  await vi.runAllTimersAsync();
  return { response: await asking, who };
}

it("a token that is refused is replaced once", async () => {
  const { response, who } = await ask([answer(401), answer(200)]);
  expect(response.status).toBe(200);
  expect(who.asked).toEqual([undefined, "first"]);
  expect(sent.map((headers) => headers.get("authorization"))).toEqual(["Bearer first", "Bearer second"]);
});

it("a token that stays refused is given back", async () => {
  expect((await ask([answer(401), answer(401)])).response.status).toBe(401);
});

it("what a server that is being replaced does not answer is sent again", async () => {
  const { response } = await ask([
    new TypeError("refused"),
    answer(503, { "retry-after": "1" }),
    answer(200, { "retry-after": "1" }),
    answer(200),
  ]);
  expect([response.status, sent.length]).toEqual([200, 4]);
});

it("an answer that has waited long enough is given back as it is", async () => {
  const { response } = await ask(Array.from({ length: 80 }, () => answer(503)));
  expect(response.status).toBe(503);
});

it("the position of the last change goes along until a later one is known", async () => {
  const positions = new Positions();
  await ask([answer(200, { "portal-position": "one" })], positions);
  await ask([answer(200, { "portal-position": "two" })], positions);
  await ask([answer(200)], positions);
  expect(sent.map((headers) => headers.get("portal-position"))).toEqual([null, "one", "two"]);
  expect(positions.sent).toEqual(["two"]);
});
