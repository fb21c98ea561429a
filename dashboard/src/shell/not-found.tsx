import { ButtonLink } from "../parts/button";
import { Empty } from "../parts/card";
import { texts } from "../texts";
import { PageTitle } from "./shell";

export function NotFound() {
  return (
    <>
      <PageTitle>{texts.shell.notFound}</PageTitle>
      <Empty action={<ButtonLink to="/">{texts.shell.toHome}</ButtonLink>}>{texts.shell.notFoundAbout}</Empty>
    </>
  );
}
