import { type ReactNode, useEffect } from "react";
import { texts } from "../texts";

/** A page's heading, which is also the window's. */
export function PageTitle({ children, action }: { children: string; action?: ReactNode }) {
  useEffect(() => {
    document.title = `${children} · ${texts.product}`;
  }, [children]);
  return (
    <div className="mb-6 flex flex-wrap items-center justify-between gap-3">
      <h1 className="text-2xl font-semibold tracking-tight text-balance">{children}</h1>
      {action && <div className="flex flex-wrap items-center gap-3">{action}</div>}
    </div>
  );
}
