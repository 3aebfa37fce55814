import { watch } from '../engine/signal.js'
import { EngineError, ResourceError } from '../errors.js'
import { parseModelName } from '../hub/model-name.js'
import { Olmo2 } from '../model.js'
import type { LoadOptions } from '../options.js'
import { Refusal } from './failure.js'
import { Gate } from './gate.js'
import { bytesOf, memoryNeed } from './memory.js'
import {
  checkpointOf,
  checkpointsIn,
  hubModel,
  isAllowed,
  type Served,
  servedModel,
  splitName,
} from './names.js'

/** Texts of one model in work at once, where the load options do not say. */
const MAX_NUM_SEQS = 64

/** A model in memory, or on its way there. */
interface Entry {
  ready: Promise<Olmo2>
  model?: Olmo2
  gate: Gate
  /** Requests that use it now. */
  users: number
  /** When one last did, in the order of uses. */
  used: number
  isPinned: boolean
  /** It was loaded by the caller, who disposes it. */
  isForeign: boolean
  /** Its GPU is lost: those who use it hear so, and then it is disposed. */
  isLost: boolean
}

/** A model that stays in memory until it is given back. */
export interface Lease extends Disposable {
  model: Olmo2
  gate: Gate
  /** Tells what went wrong with it: after a lost GPU the next request loads the model again. */
  failed(error: unknown): void
}

/** What a pool is made from. */
export interface PoolOptions {
  models: Readonly<Record<string, string | Olmo2>>
  pin: readonly string[]
  allow: readonly string[]
  load: LoadOptions
  /** Bytes that all models together may take. */
  memory: number | undefined
  /** Stops the opening. */
  signal: AbortSignal | undefined
  onLoad: (name: string, model: Olmo2) => void
}

/** A model as `/v1/models` lists it. */
export interface ListedModel {
  id: string
  loaded: boolean
}

/** The models that a server has: each is loaded when someone asks for it, and makes room for others. */
export class Pool {
  readonly #options: PoolOptions
  readonly #served = new Map<string, Served>()
  /** By the place of the files, so that two names of one checkpoint share it. */
  readonly #entries = new Map<string, Entry>()
  readonly #pinned = new Set<string>()
  /** One model is loaded after another, so that each knows what memory is left. */
  #loading: Promise<unknown> = Promise.resolve()
  #uses = 0

  private constructor(options: PoolOptions) {
    this.#options = options
  }

  static async open(options: PoolOptions): Promise<Pool> {
    const pool = new Pool(options)
    for (const [name, model] of Object.entries(options.models)) {
      if (typeof model === 'string') pool.#served.set(name, await servedModel(model))
      else pool.#adopt(name, model)
    }
    for (const name of options.pin) pool.#pinned.add(await pool.#locate(name, options.signal, true))
    return pool
  }

  /** A model that is loaded already, and not by the server. */
  #adopt(name: string, model: Olmo2): void {
    const key = `${name}\0`
    this.#served.set(name, { path: key, isOnHub: false })
    const entry = this.#entry(key, Promise.resolve(model))
    Object.assign(entry, { model, isForeign: true })
  }

  /** Every name that can be asked for without the hub, each with whether it is in memory. */
  async list(): Promise<ListedModel[]> {
    const lists = [...this.#served].map(async ([id, { path, run }]) => {
      const own = { id, loaded: this.#entries.has(path) }
      const names = run === undefined ? [] : await checkpointsIn(run)
      const checkpoints = names.map((name) => ({
        id: `${id}@${name}`,
        loaded: this.#entries.has(`${run}/${name}`),
      }))
      return [own, ...checkpoints]
    })
    return (await Promise.all(lists)).flat()
  }

  /** Models that are in memory. */
  get loaded(): Olmo2[] {
    return [...this.#entries.values()].flatMap(({ model }) => model ?? [])
  }

  /** Requests that wait for their turn, at all models. */
  get waiting(): number {
    return [...this.#entries.values()].reduce((sum, { gate }) => sum + gate.waiting, 0)
  }

  /**
   * The model of a name, loaded if it is not. Whoever gets it has to give it back.
   *
   * @param trusted Whether the hub may be asked whatever the name is
   * @throws {Refusal} for a name that is not served
   * @throws the signal's reason, if it aborts; the load goes on for others
   */
  async take(name: string, signal: AbortSignal | undefined, trusted = false): Promise<Lease> {
    const path = await this.#locate(name, signal, trusted)
    const entry = this.#entries.get(path) ?? this.#load(path, name)
    entry.users += 1
    let isHeld = true
    const release = () => {
      if (!isHeld) return
      isHeld = false
      entry.users -= 1
      this.#uses += 1
      entry.used = this.#uses
      if (entry.isLost && entry.users === 0) void entry.model?.dispose()
    }
    const failed = (error: unknown) => {
      const isLost = error instanceof EngineError && error.code === 'DEVICE_FAILED'
      if (!isLost || entry.isForeign || entry.isLost) return
      entry.isLost = true
      this.#entries.delete(path)
    }
    try {
      const model = await orAborted(entry.ready, signal)
      return { model, gate: entry.gate, failed, [Symbol.dispose]: release }
    } catch (error) {
      release()
      throw error
    }
  }

  /** Where a name's files are; of what is on the hub, after they have been fetched. */
  async #locate(name: string, signal: AbortSignal | undefined, trusted: boolean): Promise<string> {
    const { base, revision } = splitName(name)
    const exact = this.#served.get(name)
    const served = exact ?? this.#served.get(base)
    const asked = exact === undefined ? revision : undefined
    if (served === undefined || served.isOnHub) {
      return this.#locateOnHub(served?.path ?? base, asked ?? served?.revision, {
        isServed: exact !== undefined || trusted,
        isKnown: served !== undefined,
        signal,
      })
    }
    const wanted = asked ?? served.revision
    if (wanted === undefined) return served.path
    return checkpointOf(served.run ?? served.path, wanted)
  }

  async #locateOnHub(
    name: string,
    revision: string | undefined,
    {
      isServed,
      isKnown,
      signal,
    }: { isServed: boolean; isKnown: boolean; signal?: AbortSignal | undefined },
  ): Promise<string> {
    const mayFetch = isServed || isAllowed(name, this.#options.allow)
    if (!(mayFetch || isKnown) || parseModelName(name) === undefined) throw notServed(name)
    const { hub, onDownload } = this.#options.load
    const offline = mayFetch ? hub?.offline : true
    return hubModel(name, revision, { ...hub, offline, signal, onProgress: onDownload })
  }

  #entry(key: string, ready: Promise<Olmo2>): Entry {
    const gate = new Gate(this.#options.load.maxNumSeqs ?? MAX_NUM_SEQS)
    const isPinned = this.#pinned.has(key)
    const entry: Entry = {
      ready,
      gate,
      users: 0,
      used: 0,
      isPinned,
      isForeign: false,
      isLost: false,
    }
    this.#entries.set(key, entry)
    return entry
  }

  #load(path: string, name: string): Entry {
    const ready = this.#loading.then(async () => {
      await this.#makeRoom(path)
      const { hub: _, revision: __, ...load } = this.#options.load
      return Olmo2.load(path, load)
    })
    this.#loading = ready.catch(() => {})
    const entry = this.#entry(path, ready)
    ready.then(
      (model) => {
        entry.model = model
        this.#options.onLoad(name, model)
      },
      // The next request tries again.
      () => this.#entries.delete(path),
    )
    return entry
  }

  /** Unloads models that nobody uses, the longest unused first, until one more has room. */
  async #makeRoom(path: string): Promise<void> {
    for (;;) {
      const { need, have } = await memoryNeed(path, this.#options.load)
      const { memory = Number.POSITIVE_INFINITY } = this.#options
      const taken = this.loaded.reduce((sum, { info }) => sum + bytesOf(info.memory), 0)
      const left = Math.min(have, memory - taken)
      if (need <= left) return
      const idle = [...this.#entries].filter(
        ([, { users, model, isPinned, isForeign }]) =>
          users === 0 && model !== undefined && !isPinned && !isForeign,
      )
      const [oldest] = idle.toSorted(([, a], [, b]) => a.used - b.used)
      if (oldest === undefined) {
        // How much cache the model can do with is the engine's to say.
        if (need <= memory - taken) return
        throw noRoom(need, Math.max(0, left))
      }
      const [key, { model }] = oldest
      this.#entries.delete(key)
      await model?.dispose()
    }
  }

  /** Frees all models but those of the caller. */
  async dispose(): Promise<void> {
    await this.#loading
    const own = [...this.#entries.values()].filter(({ isForeign }) => !isForeign)
    this.#entries.clear()
    await Promise.all(own.map(({ model }) => model?.dispose()))
  }
}

function notServed(name: string): Refusal {
  const shown = JSON.stringify(name.slice(0, 200))
  const problem = `there is no model ${shown} here; GET /v1/models lists them, and --allow lets more in`
  return new Refusal(404, 'model_not_found', problem, { param: 'model' })
}

function noRoom(need: number, have: number): ResourceError {
  const problem = `the model needs ${need} bytes, ${have} are left, and the models in memory are in use or pinned`
  return Object.assign(new ResourceError('NOT_ENOUGH_MEMORY', problem), {
    need,
    have,
    unit: 'bytes' as const,
  })
}

/** Waits for work that goes on without us. */
async function orAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  const watching = watch(signal, () => {})
  try {
    return await Promise.race([work, watching.aborted])
  } finally {
    watching.stop()
  }
}
