import { describe, expect, it } from "vitest";
import { change, money, percent, sizes } from "./money";
import { periodOf } from "./period";
import { ago, day, range, setTenantZone } from "./time";

describe("amounts", () => {
  it("are written out to the last digit, however long", () => {
    expect(money({ amount: "90071992547409931234.56", currency: "USD" })).toBe("$90,071,992,547,409,931,234.56");
    expect(money({ amount: "-0.10", currency: "USD" })).toBe("-$0.10");
    expect(money({ amount: "1250", currency: "JPY" })).toBe("¥1,250");
  });
  it("are compared exactly where they are drawn", () => {
    expect(sizes(["0", "90071992547409931234.56", "45035996273704965617.28", "-5"])).toEqual([0, 1000, 500, 0]);
    expect(sizes(["0.1", "0.05", "0.100"])).toEqual([1000, 500, 1000]);
    expect(sizes([])).toEqual([]);
    expect(sizes(["0", "0.00"])).toEqual([0, 0]);
  });
  it("have shares in percent", () => {
    expect(percent("0.125")).toBe("12.5%");
    expect(change("0.25")).toBe("+25%");
    expect(change("-0.0909")).toBe("-9.1%");
  });
});

describe("times", () => {
  it("of a calendar day are that day everywhere", () => {
    expect(day("2026-11-01")).toBe("Nov 1, 2026");
  });
  it("say how long ago", () => {
    const now = Date.parse("2026-11-29T12:00:00Z");
    expect(ago("2026-11-29T11:58:00Z", now)).toBe("2 minutes ago");
    expect(ago("2026-11-26T12:00:00Z", now)).toBe("3 days ago");
  });
  it("of a period end before its exclusive end", () => {
    setTenantZone("America/Bogota");
    expect(range("2026-10-01T05:00:00Z", "2026-11-01T05:00:00Z").replaceAll(/\s/g, " ")).toBe("Oct 1 – 31, 2026");
  });
  it("make periods from the beginning of a month up to today", () => {
    const now = new Date(2026, 0, 15);
    expect(periodOf("month", now)).toEqual({ span: { from: "2026-01-01", before: "2026-01-16" }, interval: "DAY" });
    expect(periodOf("year", now)).toEqual({ span: { from: "2025-02-01", before: "2026-01-16" }, interval: "MONTH" });
  });
});
