// Writes what follows from the engine's table of options (crates/olmo-core/src/sampling/options.rs):
// the TypeScript type and table in src/generation-options.ts, and the table in docs/generate.md.
// Reads the table from the addon, so build that first: `npm run build:native`.
//
// With `--check` nothing is written, and the exit code is 1 if anything would change.
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'

import { addon } from './addon.mjs'

const root = resolve(import.meta.dirname, '..')
const options = JSON.parse(addon.generationOptions())

const camelCase = (name) => name.replace(/_([a-z])/g, (_, letter) => letter.toUpperCase())
const names = new Map(options.map(({ name }) => [name, camelCase(name)]))

/** Options in backticks, by the library's names. */
const renamed = (text) =>
  text.replace(/`(\w+)`/g, (found, name) => (names.has(name) ? `\`${names.get(name)}\`` : found))
const lines = ({ docs }) => docs.map((line) => renamed(line.trim()))

const types = {
  flag: 'boolean',
  count: 'number',
  number: 'number',
  seed: 'number | bigint',
  ids: 'number | readonly number[]',
  idLists: 'readonly TokenIds[]',
  texts: 'string | readonly string[]',
  biases: 'Readonly<Record<number, number>> | ReadonlyMap<number, number>',
  text: 'string',
  schema: 'Schema',
}

/** The default as a reader of the docs wants it. */
const shownDefault = ({ default: value }) => String(value)

function member(option) {
  const { name, kind, range, needs } = option
  const facts = [
    range && `${range[0].toUpperCase()}${range.slice(1)}.`,
    needs && `Needs \`${names.get(needs)}\`.`,
    `Default: ${shownDefault(option)}.`,
  ]
  const [summary, ...details] = lines(option)
  const text = [summary, ...details.filter((line) => line !== ''), facts.filter(Boolean).join(' ')]
  return `${comment(text.join(' '))}\n  ${names.get(name)}?: ${types[kind]}\n`
}

/** A doc comment of lines of at most 100 characters. */
function comment(text) {
  const wrapped = ['']
  for (const word of text.split(/\s+/)) {
    const line = `${wrapped.at(-1)} ${word}`
    if (line.length > 94) wrapped.push(` ${word}`)
    else wrapped[wrapped.length - 1] = line
  }
  if (wrapped.length === 1) return `  /**${wrapped[0]} */`
  return ['  /**', ...wrapped.map((line) => `   *${line}`), '   */'].join('\n')
}

function entry(option) {
  const { name, kind, needs } = option
  const facts = {
    engine: name,
    kind,
    help: lines(option)[0],
    default: option.default,
    ...(needs && { needs: names.get(needs) }),
  }
  return `  ${names.get(name)}: ${JSON.stringify(facts)},`
}

function typescript() {
  const one = options.filter(({ makesMany }) => !makesMany)
  const many = options.filter(({ makesMany }) => makesMany)
  return `// Written by scripts/generation-options.mjs from the engine's table of options: edit that.
import type { Schema } from './schema.js'
import type { TokenIds } from './tokens.js'

/**
 * Options of a generation: names, meanings and order of application are those of
 * [\`generate\` in Hugging Face transformers](https://huggingface.co/docs/transformers/main_classes/text_generation#transformers.GenerationConfig).
 * The checkpoint's \`generation_config.json\` overrides the defaults named here.
 */
export interface GenerateOptions {
${one.map(member).join('\n')}
  /** Stops the generation, which then rejects with the signal's reason; or see \`onAbort\`. */
  signal?: AbortSignal | undefined

  /**
   * What happens when the signal aborts: \`throw\` rejects at once with its reason; \`return\` ends the
   * answers with what there is after the pass that is running, with the \`finishReason\` \`abort\`.
   * Default: \`throw\`.
   */
  onAbort?: 'throw' | 'return' | undefined
}

/** Options of a generation that gives several answers. */
export interface GenerateManyOptions extends GenerateOptions {
${many.map(member).join('\n')}}

/** Options that go into the engine: all but those that JavaScript itself looks after. */
export type EngineOption = Exclude<keyof GenerateManyOptions, 'signal' | 'onAbort'>

/** What is known of an option beside its type. */
export interface GenerationOption {
  /** The engine's name for it. */
  engine: string
  /** What kind of value it takes. */
  kind:
    | 'flag' | 'count' | 'number' | 'seed' | 'ids' | 'idLists' | 'texts' | 'biases' | 'text' | 'schema'
  /** What it does, in a sentence that names options in backticks. */
  help: string
  /** Its value if neither the caller nor the checkpoint says one; null is off. */
  default: boolean | number | string | null
  /** The flag without which it does nothing. */
  needs?: EngineOption
}

/** Every option of a generation; the command line has its flags and their help from here. */
export const generationOptions = {
${options.map(entry).join('\n')}
} as const satisfies Record<EngineOption, GenerationOption>
`
}

function docsTable() {
  const rows = options.map((option) => {
    const { name, huggingFace, defaultThere } = option
    const there = defaultThere ? ` (there: ${defaultThere})` : ''
    const cells = [
      `\`${names.get(name)}\``,
      huggingFace ? `\`${huggingFace}\`` : '',
      `${shownDefault(option)}${there}`,
      lines(option)[0].replaceAll('|', '\\|').replace(/\.$/, ''),
    ]
    return `| ${cells.join(' | ')} |`.replaceAll('|  |', '| |')
  })
  return ['| option | Hugging Face | default | what it does |', '|---|---|---|---|', ...rows].join(
    '\n',
  )
}

const source = execFileSync(
  resolve(root, 'node_modules/.bin/biome'),
  ['format', '--stdin-file-path=src/generation-options.ts'],
  { cwd: root, input: typescript(), encoding: 'utf8' },
)
const page = readFileSync(resolve(root, 'docs/generate.md'), 'utf8')
const [begin, end] = ['<!-- options: scripts/generation-options.mjs -->', '<!-- end of options -->']
const [before, rest] = page.split(begin)
const written = {
  'src/generation-options.ts': source,
  'docs/generate.md': `${before}${begin}\n\n${docsTable()}\n\n${end}${rest.split(end)[1]}`,
}
for (const [file, text] of Object.entries(written)) {
  const path = resolve(root, file)
  let old = ''
  try {
    old = readFileSync(path, 'utf8')
  } catch {}
  if (old === text) continue
  if (process.argv.includes('--check')) {
    console.error(
      `${file} is not what the table of options gives: run scripts/generation-options.mjs`,
    )
    process.exitCode = 1
  } else writeFileSync(path, text)
}
