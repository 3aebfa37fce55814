import {
  type EngineOption,
  type GenerateManyOptions,
  type GenerationOption,
  generationOptions,
} from './generation-options.js'

/** The default of a generation option. */
export interface OptionInForce {
  /** Null is off. */
  value: boolean | number | string | readonly unknown[] | null
  /** Where it comes from: the engine, a file of the checkpoint, or the GGUF file itself. */
  source: 'default' | 'generation_config.json' | 'config.json' | 'GGUF'
}

/** Every generation option with its default. */
export type GenerationInForce = Readonly<Record<EngineOption, OptionInForce>>

/** An option that a caller set but that has no effect. */
export interface OptionWarning {
  option: EngineOption
  /** The option it needs, which is off. */
  needs: EngineOption
  message: string
}

const entries = Object.entries(generationOptions) as [EngineOption, GenerationOption][]

/** What the binding says is in force, under the names of this library. */
export function readInForce(json: string): GenerationInForce {
  const found = JSON.parse(json) as ({ name: string } & OptionInForce)[]
  const byName = new Map(found.map(({ name, ...inForce }) => [name, inForce]))
  const named = entries.map(([option, { engine }]) => [option, byName.get(engine)])
  return Object.fromEntries(named) as GenerationInForce
}

/** The options that are set and do nothing, as what they need is off. */
export function unusedOptions(
  options: GenerateManyOptions | undefined,
  inForce: GenerationInForce,
): OptionWarning[] {
  return entries.flatMap(([option, { needs }]) => {
    if (needs === undefined || options?.[option] === undefined) return []
    if (options[needs] ?? inForce[needs].value) return []
    return [{ option, needs, message: `option \`${option}\` does nothing without ${needs}` }]
  })
}
