import { useState } from "react";
import { Button } from "../parts/button";
import { texts } from "../texts";
import { endOf, isOperator, type Session, type SignIn as SignInType } from "./session";

/** The people of the demo data, by their names at `/development/token`. */
const PEOPLE = ["owner", "member", "operator", "newcomer"] as const;
type Person = (typeof PEOPLE)[number];

/** Where it is kept who the visitor is: for this tab alone, so that two tabs can be two people. */
const KEPT = "portal-person";
/** A token is not used any more so long before it ends, in milliseconds. */
const LEEWAY = 5_000;

function kept(): string | null {
  return sessionStorage.getItem(KEPT);
}

/** A token of a demo person. `person` may have further parameters: `newcomer&number=2&inviteCode=K3…`. */
async function fetchToken(person: string): Promise<string> {
  const response = await fetch(`/development/token?person=${person}`);
  if (!response.ok) throw new Error(await response.text());
  return (await response.json()).token;
}

function makeSession(person: string, first: string, become: (person: string | null) => void): Session {
  let token = first;
  let asked: Promise<string> | undefined;
  const renew = () => {
    asked ??= fetchToken(person)
      .then((fresh) => {
        token = fresh;
        return fresh;
      })
      .finally(() => {
        asked = undefined;
      });
    return asked;
  };
  return {
    isOperator: isOperator(first),
    getToken: async (refused) => (refused !== token && endOf(token) - LEEWAY > Date.now() ? token : renew()),
    signOut: async () => become(null),
    others: PEOPLE.map((name) => ({ label: texts.people[name].name, isCurrent: person === name, become: () => become(name) })),
  };
}

/** The sign-in for development: one of the demo people, without a password. */
export const SignIn: SignInType = ({ children }) => {
  const [session, setSession] = useState<Session | null>(null);
  const [fault, setFault] = useState<string | null>(null);
  const [isAsking, setAsking] = useState(() => {
    const person = kept();
    if (person) queueMicrotask(() => void enter(person));
    return person !== null;
  });

  async function enter(person: string) {
    setAsking(true);
    setFault(null);
    try {
      const token = await fetchToken(person);
      sessionStorage.setItem(KEPT, person);
      setSession(makeSession(person, token, become));
    } catch (error) {
      setFault(error instanceof Error ? error.message : String(error));
      setAsking(false);
    }
  }

  function become(person: string | null) {
    if (person) sessionStorage.setItem(KEPT, person);
    else sessionStorage.removeItem(KEPT);
    // Everything that was read for somebody else is forgotten.
    location.assign("/");
  }

  if (session) return children(session);
  if (isAsking) return null;
  return (
    <main className="mx-auto flex min-h-dvh max-w-md flex-col justify-center gap-6 p-6">
      <div>
        <h1 className="text-2xl font-semibold">{texts.signIn.title}</h1>
        <p className="mt-2 text-muted">{texts.signIn.about}</p>
      </div>
      <ul className="flex flex-col gap-3">
        {PEOPLE.map((person: Person) => (
          <li key={person}>
            <Button className="h-auto w-full justify-start py-3 text-left" onClick={() => void enter(person)}>
              <span>
                <span className="block font-medium">{texts.people[person].name}</span>
                <span className="block text-sm font-normal text-muted">{texts.people[person].about}</span>
              </span>
            </Button>
          </li>
        ))}
      </ul>
      {fault && (
        <p role="alert" className="text-bad">
          {texts.signIn.failed} {fault}
        </p>
      )}
    </main>
  );
};
