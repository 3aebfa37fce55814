/** Bounds how much work goes on at once; the others wait in line. */
export class Limit {
  readonly #most: number
  readonly #waiting: (() => void)[] = []
  #running = 0

  constructor(most: number) {
    this.#most = most
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#running >= this.#most)
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    else this.#running += 1
    try {
      return await work()
    } finally {
      const next = this.#waiting.shift()
      // Whoever comes next takes this place over.
      if (next) next()
      else this.#running -= 1
    }
  }
}

/**
 * Does several pieces of work at once. After the first failure the others are told to stop, and it
 * is thrown when all have.
 */
export async function together<T>(
  items: readonly T[],
  signal: AbortSignal | undefined,
  work: (item: T, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const controller = new AbortController()
  const stop = AbortSignal.any([controller.signal, ...(signal ? [signal] : [])])
  let failure: { reason: unknown } | undefined
  await Promise.all(
    items.map((item) =>
      work(item, stop).catch((reason: unknown) => {
        failure ??= { reason }
        controller.abort(reason)
      }),
    ),
  )
  if (failure) throw failure.reason
}
