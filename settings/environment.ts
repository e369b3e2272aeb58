/** The environment of a process as all that reads it sees it: names and values, an empty value being none. */

export type Environment = Readonly<Record<string, string | undefined>>;

/** The value of a variable; undefined when it is not set, or set to nothing. */
export function valueOf(environment: Environment, name: string): string | undefined {
  const value = environment[name];
  return value === "" ? undefined : value;
}
