import type { Source } from './layers.js'
import { lineAt, stringsOf, withoutTests } from './rust.js'

const NODE = /\b(?:napi|node\.?js|javascript|typescript|npm)\b/gi

/** A flag as it is typed, but not of another program, as in `` `llama-gguf-split --merge` ``. */
const FLAG = /(?<!`[\w-][\w -]*)--[a-z][a-z-]+/

/**
 * Words of Node and of the command in the core: names of its tools, options in camelCase, flags.
 *
 * @param options Names of options as JavaScript has them
 */
export function checkWords(options: readonly string[], sources: readonly Source[]): string[] {
  const camel = options.filter((name) => /[A-Z]/.test(name))
  const option = new RegExp(`\\b(?:${camel.join('|')})\\b`, 'g')
  return sources.flatMap(({ path, text }) => {
    const own = withoutTests(text)
    const words = [...own.matchAll(NODE), ...own.matchAll(option)]
    const flags = stringsOf(own).filter(({ string }) => FLAG.test(string))
    return [
      ...words.map(({ index, 0: word }) => `${path}:${lineAt(own, index)}: ${word} is Node's word`),
      ...flags.map(({ line, string }) => `${path}:${line}: ${string} has a flag of the command`),
    ]
  })
}
