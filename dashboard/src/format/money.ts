/** An exact amount, as the API gives it. */
export interface Money {
  amount: string;
  currency: string;
}

const formats = new Map<string, Intl.NumberFormat>();

function format(key: string, options: Intl.NumberFormatOptions): Intl.NumberFormat {
  let known = formats.get(key);
  if (!known) {
    known = new Intl.NumberFormat(undefined, options);
    formats.set(key, known);
  }
  return known;
}

// Numbers as texts are written out exactly (ECMA-402, "Intl mathematical value"); no amount goes through a float.
const exact = (decimal: string) => decimal as `${number}`;

/** An amount as the visitor writes money. */
export function money({ amount, currency }: Money): string {
  return format(currency, { style: "currency", currency }).format(exact(amount));
}

/** A share: "0.125" is 12.5 %. */
export function percent(share: string): string {
  return format("percent", { style: "percent", maximumFractionDigits: 2 }).format(exact(share));
}

/** A change: "0.125" is +12.5 %. */
export function change(share: string): string {
  return format("change", { style: "percent", maximumFractionDigits: 1, signDisplay: "exceptZero" }).format(exact(share));
}

/** A whole number. */
export function count(number: number): string {
  return format("count", {}).format(number);
}

/** Sizes of exact amounts among each other, in thousandths of the largest, for drawing. */
export function sizes(amounts: string[]): number[] {
  const decimals = Math.max(0, ...amounts.map((amount) => amount.split(".")[1]?.length ?? 0));
  const whole = amounts.map((amount) => {
    const [integer = "0", fraction = ""] = amount.split(".");
    return BigInt(integer + fraction.padEnd(decimals, "0"));
  });
  // Math.max takes no BigInt.
  // biome-ignore lint/complexity/useMathMinMax: as above.
  const largest = whole.reduce((largest, amount) => (amount > largest ? amount : largest), 0n);
  return whole.map((amount) => (largest === 0n || amount <= 0n ? 0 : Number((amount * 1000n) / largest)));
}
