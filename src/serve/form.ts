import type { Shape } from '../arguments.js'
import { OptionError } from '../errors.js'
import type { GenerateOptions } from '../generation-options.js'
import type { JsonSchema } from '../schema.js'
import type { Fields } from './body.js'

/** The fields that give an answer its form: OpenAI's, and vLLM's for what OpenAI has none. */
export const formShape: Shape = {
  response_format: 'object',
  structured_outputs: 'object',
}

type Form = Pick<GenerateOptions, 'schema' | 'regex' | 'grammar'>

/**
 * The form that a request's fields ask for.
 *
 * @throws {OptionError} for one that there is not
 */
export function formOf({ response_format, structured_outputs }: Fields): Form {
  const form = response_format === undefined ? {} : formatOf(response_format, 'response_format')
  if (structured_outputs === undefined) return form
  const { json, regex, grammar, ...others } = structured_outputs as Fields
  const [unknown] = Object.keys(others)
  if (unknown !== undefined) {
    const problem = `has ${JSON.stringify(unknown.slice(0, 50))}, but can have json, regex and grammar`
    throw new OptionError('structured_outputs', problem)
  }
  const given = Object.entries({ schema: json, regex, grammar })
  return { ...form, ...Object.fromEntries(given.filter(([, value]) => value != null)) }
}

/** The form of a format: `text`, any JSON object, or JSON that fits a schema. */
export function formatOf(format: unknown, field: string): Form {
  const { type, json_schema, schema } = (format ?? {}) as Fields
  switch (type) {
    case undefined:
    case 'text':
      return {}
    case 'json_object':
      return { schema: { type: 'object' } }
    case 'json_schema': {
      // A response has the schema in the format itself, a chat one level below.
      const found = schema ?? (json_schema as Fields | undefined)?.schema
      if (isSchema(found)) return { schema: found }
      throw new OptionError(field, 'has the type "json_schema", but no schema')
    }
    default: {
      const shown = JSON.stringify(String(type).slice(0, 50))
      throw new OptionError(
        field,
        `has the type ${shown}, but can have text, json_object or json_schema`,
      )
    }
  }
}

function isSchema(value: unknown): value is JsonSchema {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
