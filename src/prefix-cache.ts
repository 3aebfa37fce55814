import type { Model as NativeModel } from '#native'

import { checkArgument } from './arguments.js'
import { crossingAsync } from './errors.js'

/** Tokens in a model's cache of keys and values. */
export interface CacheUse {
  /** Tokens there is room for. */
  tokens: number
  /** Of these, room that texts in work have. */
  inUse: number
  /** Tokens that a later prompt can begin with, so that they are not read again; those in work too. */
  kept: number
}

/** What went into a file of a cache, or came out of it. */
export interface KeptCache {
  /** Tokens that a prompt can begin with. */
  tokens: number
  /** Of the file. */
  bytes: number
}

/**
 * The beginnings of texts that a model keeps, so that a prompt which begins alike is not read again. They can
 * outlive the process in a file. The model goes on with its other work meanwhile.
 */
export class PrefixCache {
  readonly #native: NativeModel

  /** @internal */
  constructor(native: NativeModel) {
    this.#native = native
  }

  /** How full it is, between two passes. */
  use(): Promise<CacheUse> {
    return crossingAsync(() => this.#native.cacheUse())
  }

  /**
   * Writes all that is kept into a file, which is whole or not there. It has {@link MemoryPlan.cachePerToken} bytes a
   * token.
   *
   * @throws {CheckpointError} `IO` if it cannot be written
   */
  async save(path: string): Promise<KeptCache> {
    checkArgument('path', path, 'path')
    return crossingAsync(() => this.#native.saveCache(path))
  }

  /**
   * Takes back what {@link PrefixCache.save} wrote, as far as there is room that no text in work has; what was unused
   * for longest gives way. Whoever made the file decides what the model thinks to have read: load those of your own.
   *
   * @throws {CheckpointError} `INVALID_FILE` if the file is damaged, of another model or of another `dtype`,
   * `cacheDtype` or kind of device; nothing is changed then
   */
  async load(path: string): Promise<KeptCache> {
    checkArgument('path', path, 'path')
    return crossingAsync(() => this.#native.loadCache(path))
  }
}
