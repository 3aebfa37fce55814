import { OptionError } from '../errors.js'
import { type Schema, schemaJson } from '../schema.js'
import type { FunctionTool, ToolChoice } from '../tool-call/index.js'
import type { Convention } from './convention.js'

/** Names that stand in a grammar as they are. */
const NAME = /^[\w.-]{1,64}$/

/** How the JSON of arguments is laid out: as `json.dumps` of Python does, from which models learnt it. */
const LAYOUT = { item_separator: ', ', key_separator: ': ', whitespace_flexible: false }

/**
 * The functions that may be called.
 *
 * @throws {OptionError} if there is one without a name, or the choice names another
 */
export function readTools(
  tools: readonly object[],
  choice: ToolChoice,
): FunctionTool['function'][] {
  const functions = tools.map((tool, index) => {
    const found = 'function' in tool ? tool.function : tool
    const name =
      typeof found === 'object' && found !== null ? Reflect.get(found, 'name') : undefined
    if (typeof name !== 'string' || !NAME.test(name)) {
      const problem = `number ${index} needs a name of at most 64 letters, digits, _, - and .`
      throw new OptionError('tools', problem)
    }
    return found as FunctionTool['function']
  })
  if (typeof choice === 'string') return functions
  const chosen = functions.filter(({ name }) => name === choice.function.name)
  if (chosen.length === 0) {
    throw new OptionError('toolChoice', `is ${choice.function.name}, which is not one of the tools`)
  }
  return chosen
}

/**
 * A Lark grammar of one call or several, whose arguments fit the tools' schemas.
 *
 * @param answer The schema of what may come in place of calls
 */
export function callsGrammar(
  functions: readonly FunctionTool['function'][],
  { marks, key }: Convention,
  isParallel: boolean,
  answer?: Schema,
): string {
  const [before, after] = marks.open === '' ? ['', ''] : [`${marks.open}\n`, `\n${marks.close}`]
  const text = (words: string) => JSON.stringify(words)
  const rules = functions.flatMap(({ name, parameters }, index) => {
    const head = `${before}{"name": ${text(name)}, "${key}": `
    return [
      `call_${index}: ${text(head)} arguments_${index} ${text(`}${after}`)}`,
      `arguments_${index}: %json ${laidOut(parameters ?? NO_PARAMETERS)}`,
    ]
  })
  const any = functions.map((_, index) => `call_${index}`).join(' | ')
  const calls = isParallel ? `call ("\\n" call)*` : 'call'
  if (answer !== undefined) rules.push(`answer: %json ${laidOut(JSON.parse(schemaJson(answer)))}`)
  const start = `start: ${calls}${answer === undefined ? '' : ' | answer'}`
  return [start, `call: ${any}`, ...rules, ''].join('\n')
}

function laidOut(schema: unknown): string {
  return JSON.stringify(typeof schema === 'object' ? { 'x-guidance': LAYOUT, ...schema } : schema)
}

const NO_PARAMETERS = { type: 'object', properties: {}, additionalProperties: false }
