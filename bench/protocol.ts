/** What an engine under test is told, one JSON object a line on its standard input. */
export type Request =
  /** Gives milliseconds. `context` is the number of tokens that the cache has to hold. */
  | { do: 'load'; path: string; dtype: string; threads: number; context: number }
  /** Gives tokens a second. `round` makes the prompt a new one. */
  | { do: 'prefill'; tokens: number; round: number }
  /** Gives tokens a second of `tokens` generated after `depth` others. */
  | { do: 'decode'; depth: number; tokens: number }
  /** Gives bytes. */
  | { do: 'peakRss' }

/** What it answers, one JSON object a line on its standard output. */
export type Reply = { value: number } | { error: string }

type Ask<What> = (request: Extract<Request, { do: What }>) => Promise<number>

/** What an engine can do. */
export interface Engine {
  load: Ask<'load'>
  prefill: Ask<'prefill'>
  decode: Ask<'decode'>
}
