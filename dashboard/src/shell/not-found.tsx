import { Button, ButtonLink } from "../parts/button";
import { Empty } from "../parts/card";
import { texts } from "../texts";
import { PageTitle } from "./title";

export function NotFound() {
  return (
    <>
      <PageTitle>{texts.shell.notFound}</PageTitle>
      <Empty action={<ButtonLink to="/">{texts.shell.toHome}</ButtonLink>}>{texts.shell.notFoundAbout}</Empty>
    </>
  );
}

/** A page whose code could not be fetched, or that failed. */
export function Broken() {
  return (
    <>
      <PageTitle>{texts.faults.title}</PageTitle>
      <Empty action={<Button onClick={() => location.reload()}>{texts.faults.again}</Button>}>{texts.faults.away}</Empty>
    </>
  );
}
