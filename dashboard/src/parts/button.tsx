import { Link, type LinkProps } from "@tanstack/react-router";
import type { ComponentProps } from "react";

const BASE =
  "inline-flex h-9 shrink-0 items-center justify-center gap-2 rounded-lg px-3.5 text-sm font-medium whitespace-nowrap cursor-pointer disabled:cursor-not-allowed disabled:opacity-60 aria-disabled:cursor-progress aria-disabled:opacity-60";
const KINDS = {
  main: "bg-accent text-on-accent hover:opacity-90",
  plain: "border border-line bg-surface hover:bg-hover",
  quiet: "hover:bg-hover text-muted hover:text-text",
  bad: "border border-line bg-surface text-bad hover:bg-bad-soft",
};

interface Looks {
  kind?: keyof typeof KINDS;
  /** It is under way: nothing happens when it is pressed again, and the focus stays on it. */
  isBusy?: boolean;
}

export function Button({
  kind = "plain",
  isBusy = false,
  className = "",
  type = "button",
  onClick,
  ...rest
}: ComponentProps<"button"> & Looks) {
  return (
    <button
      type={type}
      className={`${BASE} ${KINDS[kind]} ${className}`}
      aria-disabled={isBusy || undefined}
      onClick={(event) => (isBusy ? event.preventDefault() : onClick?.(event))}
      {...rest}
    />
  );
}

export function ButtonLink({ kind = "plain", className = "", ...rest }: LinkProps & Looks & { className?: string }) {
  return <Link className={`${BASE} ${KINDS[kind]} ${className}`} {...rest} />;
}
