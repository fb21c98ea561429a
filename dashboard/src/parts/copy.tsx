import { texts } from "../texts";
import { Button } from "./button";
import { notify } from "./notice";

/** Copies a text. Browsers allow it on addresses with TLS and on this machine. */
export function Copy({ text }: { text: string }) {
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      notify(texts.links.copied);
    } catch {
      notify(texts.links.notCopied);
    }
  };
  return <Button onClick={() => void copy()}>{texts.links.copy}</Button>;
}
