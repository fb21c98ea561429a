import { useEffect, useRef } from "react";
import { texts } from "../texts";
import { Button } from "./button";

/** Shows more of a list once its end is seen; the button does so for those who do not scroll. */
export function More({ onMore }: { onMore(): void }) {
  const button = useRef<HTMLDivElement>(null);
  const more = useRef(onMore);
  more.current = onMore;
  useEffect(() => {
    if (!button.current) return;
    const observer = new IntersectionObserver(([entry]) => entry?.isIntersecting && more.current());
    observer.observe(button.current);
    return () => observer.disconnect();
  }, []);
  return (
    <div ref={button}>
      <Button onClick={onMore}>{texts.table.more}</Button>
    </div>
  );
}
