type Labels = Readonly<Record<string, string>>

/** A number with labels, of which there are several. */
class Series {
  readonly #values = new Map<string, number>()

  add(labels: Labels, amount = 1): void {
    const key = written(labels)
    this.#values.set(key, (this.#values.get(key) ?? 0) + amount)
  }

  lines(name: string): string[] {
    return [...this.#values].map(([labels, value]) => `${name}${labels} ${value}`)
  }
}

/** How often a measure was at most so large. */
class Histogram {
  readonly #bounds: readonly number[]
  readonly #counts: number[]
  #sum = 0
  #count = 0

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds
    this.#counts = bounds.map(() => 0)
  }

  observe(value: number): void {
    for (const [index, bound] of this.#bounds.entries()) {
      if (value <= bound) this.#counts[index] = (this.#counts[index] ?? 0) + 1
    }
    this.#sum += value
    this.#count += 1
  }

  lines(name: string): string[] {
    const buckets = this.#bounds.map(
      (bound, index) => `${name}_bucket{le="${bound}"} ${this.#counts[index]}`,
    )
    const all = `${name}_bucket{le="+Inf"} ${this.#count}`
    return [...buckets, all, `${name}_sum ${this.#sum}`, `${name}_count ${this.#count}`]
  }
}

/** Labels as Prometheus writes them. */
function written(labels: Labels): string {
  const quoted = (text: string) =>
    text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${quoted(value)}"`)
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`
}

const FIRST = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]
const BETWEEN = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5]

/** What a server counts, in seconds and tokens. */
export class Metrics {
  readonly requests = new Series()
  readonly promptTokens = new Series()
  readonly cachedTokens = new Series()
  readonly generatedTokens = new Series()
  readonly timeToFirstToken = new Histogram(FIRST)
  readonly betweenTokens = new Histogram(BETWEEN)

  /** All of it in Prometheus's text format, with gauges of the moment. */
  text(gauges: Readonly<Record<string, readonly [help: string, value: number]>>): string {
    const families = [
      family('olmo2_requests_total', 'counter', 'Requests that have ended.', this.requests),
      family('olmo2_prompt_tokens_total', 'counter', 'Tokens of prompts.', this.promptTokens),
      family(
        'olmo2_cached_tokens_total',
        'counter',
        'Tokens of prompts that were in the cache.',
        this.cachedTokens,
      ),
      family('olmo2_generated_tokens_total', 'counter', 'Tokens of answers.', this.generatedTokens),
      family(
        'olmo2_time_to_first_token_seconds',
        'histogram',
        'From the request to its first token.',
        this.timeToFirstToken,
      ),
      family(
        'olmo2_inter_token_seconds',
        'histogram',
        'Between two tokens of an answer.',
        this.betweenTokens,
      ),
      ...Object.entries(gauges).map(([name, [help, value]]) =>
        family(`olmo2_${name}`, 'gauge', help, { lines: (full) => [`${full} ${value}`] }),
      ),
    ]
    return `${families.join('\n')}\n`
  }
}

function family(
  name: string,
  type: string,
  help: string,
  values: { lines(name: string): string[] },
): string {
  return [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, ...values.lines(name)].join('\n')
}
