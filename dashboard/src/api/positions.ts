/**
 * Where servers read from standbys, each request says the position of the last change that this page has made or received, so that every
 * answer has it (docs/clients.md, "Positions"). Servers that read from one database give no positions.
 */
export class Positions {
  #known = new Set<string>();
  #streamed: string[] = [];

  /** What a request says. */
  get sent(): string[] {
    return [...this.#known];
  }

  /** Notes a position in place of earlier ones that it is as far as. */
  note(position: string | null | undefined, earlier: string[]) {
    if (!position) return;
    for (const old of earlier) this.#known.delete(old);
    this.#known.add(position);
  }

  /** The same of an event: it is further than the one before it. */
  noteEvent(extensions: Record<string, unknown> | null | undefined) {
    const position = extensions?.position;
    if (typeof position !== "string") return;
    this.note(position, this.#streamed);
    this.#streamed = [position];
  }
}
