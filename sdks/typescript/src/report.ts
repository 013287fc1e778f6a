/** What an inbox or a receiver tells its operator. */
export interface Report {
  readonly kind: "failed" | "dead" | "lost" | "other_body" | "rejected" | "store";
  readonly message: string;
  readonly eventId?: string;
  readonly error?: unknown;
}

/** One line to standard error; with its error where that is news to the operator. */
export function reportToConsole({ kind, message, error }: Report): void {
  // anyone can send what is rejected: it must not fill the log with stacks
  const details = kind === "rejected" || error === undefined ? [] : [error];
  console.error(`postrider: ${message}`, ...details);
}
