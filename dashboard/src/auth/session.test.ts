import { expect, it } from "vitest";
import { endOf, isOperator } from "./session";

const token = (claims: object) => `e30.${btoa(JSON.stringify(claims)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "")}.x`;

it("a token says who is staff and when it ends; what is no token says nothing", () => {
  expect(isOperator(token({ metadata: { role: "operator" } }))).toBe(true);
  expect(isOperator(token({ metadata: { role: "partner" } }))).toBe(false);
  expect(endOf(token({ exp: 1_700_000_000, name: "?>?>" }))).toBe(1_700_000_000_000);
  expect([isOperator("nonsense"), endOf("nonsense")]).toEqual([false, 0]);
});
