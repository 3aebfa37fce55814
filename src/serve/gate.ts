import { watch } from '../engine/signal.js'

/** Who wants to pass, and how. */
export interface Wish {
  client: string
  /** Lower ones pass first. */
  priority: number
  /** Places it takes. */
  weight: number
  signal: AbortSignal
}

interface Waiting extends Wish {
  enter: () => void
}

/** Clients whose turns are remembered. */
const MOST_CLIENTS = 10_000

/**
 * Lets as many requests into a model as it works on together. The others wait: those of the lowest
 * priority number are let in first, and of these one of each client in turn.
 */
export class Gate {
  readonly #places: number
  readonly #waiting: Waiting[] = []
  /** When each client's last request was let in. */
  readonly #turns = new Map<string, number>()
  #taken = 0
  #turn = 0

  constructor(places: number) {
    this.#places = places
  }

  get waiting(): number {
    return this.#waiting.length
  }

  /**
   * Waits for a place.
   *
   * @throws the signal's reason, if it aborts
   */
  async enter(wish: Wish): Promise<Place> {
    const weight = Math.min(wish.weight, this.#places)
    let letIn = () => {}
    const entered = new Promise<void>((resolve) => {
      letIn = resolve
    })
    const waiting = { ...wish, weight, enter: letIn }
    const watching = watch(wish.signal, () => this.#leave(waiting))
    this.#waiting.push(waiting)
    this.#letIn()
    try {
      await Promise.race([entered, watching.aborted])
    } finally {
      watching.stop()
    }
    return new Place((change) => {
      this.#taken += change * weight
      if (change < 0) this.#letIn()
    })
  }

  #leave(one: Waiting): void {
    const at = this.#waiting.indexOf(one)
    // One that was let in before has its place, and gives it back.
    if (at < 0) return
    this.#waiting.splice(at, 1)
    this.#letIn()
  }

  /** A request that takes many places is not overtaken while it waits for them. */
  #letIn(): void {
    for (;;) {
      const next = this.#next()
      if (next === undefined || this.#taken + next.weight > this.#places) return
      this.#waiting.splice(this.#waiting.indexOf(next), 1)
      this.#turn += 1
      this.#turns.set(next.client, this.#turn)
      this.#taken += next.weight
      next.enter()
    }
  }

  #next(): Waiting | undefined {
    const isQuiet = this.#waiting.length === 0 && this.#taken === 0
    if (isQuiet || this.#turns.size > MOST_CLIENTS) this.#turns.clear()
    const turnOf = ({ client }: Waiting) => this.#turns.get(client) ?? 0
    return this.#waiting.reduce<Waiting | undefined>((first, other) => {
      if (first === undefined || other.priority < first.priority) return other
      const isEarlier = other.priority === first.priority && turnOf(other) < turnOf(first)
      return isEarlier ? other : first
    }, undefined)
  }
}

/** A place among the requests that a model works on. One whose reader pauses keeps it from nobody. */
export class Place {
  readonly #change: (change: 1 | -1) => void
  #isPaused = false
  #isLeft = false

  constructor(change: (change: 1 | -1) => void) {
    this.#change = change
  }

  pause(): void {
    if (this.#isLeft || this.#isPaused) return
    this.#isPaused = true
    this.#change(-1)
  }

  resume(): void {
    if (this.#isLeft || !this.#isPaused) return
    this.#isPaused = false
    this.#change(1)
  }

  leave(): void {
    this.resume()
    if (this.#isLeft) return
    this.#isLeft = true
    this.#change(-1)
  }
}
