import { Olmo2 } from '../model.js'
import type { LoadOptions } from '../options.js'
import { embeddedModel } from '../package.js'

/** A model's name or path, as for `Olmo2.load`, or a loaded model. */
export type ModelChoice = string | Olmo2

/** Models by their names, each loaded once. */
export class Models {
  readonly #options: LoadOptions
  readonly #loads = new Map<string, Promise<Olmo2>>()

  constructor(options: LoadOptions) {
    this.#options = options
  }

  get(model: ModelChoice): Promise<Olmo2> {
    if (typeof model !== 'string') return Promise.resolve(model)
    const known = this.#loads.get(model)
    if (known) return known
    const load = Olmo2.load(model, this.#options)
    this.#loads.set(model, load)
    // What failed is tried again.
    load.catch(() => this.#loads.delete(model))
    return load
  }

  async dispose(): Promise<void> {
    const loads = [...this.#loads.values()]
    this.#loads.clear()
    const loaded = await Promise.allSettled(loads)
    await Promise.all(loaded.map((one) => one.status === 'fulfilled' && one.value.dispose()))
  }
}

/** What a model is called in the SDK. */
const nameOf = (model: ModelChoice) => {
  const name = typeof model === 'string' ? model : model.info.path
  return name === embeddedModel ? 'olmo2-5m' : name
}

/** What all models of the provider have in common. */
export abstract class ProvidedModel {
  readonly specificationVersion = 'v4'
  readonly provider = 'olmo2'
  readonly modelId: string
  readonly #models: Models
  readonly #model: ModelChoice

  constructor(models: Models, model: ModelChoice) {
    this.modelId = nameOf(model)
    this.#models = models
    this.#model = model
  }

  /** The model itself, loaded when it is first asked for. */
  protected loaded(): Promise<Olmo2> {
    return this.#models.get(this.#model)
  }
}
