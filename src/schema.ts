import { OptionError } from './errors.js'
import { reasonOf } from './realm.js'

/** A JSON schema. */
export type JsonSchema = Readonly<Record<string, unknown>> | boolean

/**
 * A schema from a library that implements [Standard Schema](https://standardschema.dev) and its JSON schema,
 * such as Zod from 4.2.
 *
 * @typeParam Output The type it parses a value to
 */
export interface StandardSchema<Output = unknown> {
  readonly '~standard': {
    readonly version: 1
    readonly vendor: string
    readonly validate: (
      value: unknown,
    ) => StandardResult<Output> | PromiseLike<StandardResult<Output>>
    readonly types?: { readonly input: unknown; readonly output: Output } | undefined
    readonly jsonSchema?: {
      readonly input: (options: { readonly target: 'draft-2020-12' }) => Record<string, unknown>
    }
  }
}

/** What a Standard Schema says of a value. */
type StandardResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly SchemaIssue[] }

/** A problem that a Standard Schema found. */
export interface SchemaIssue {
  readonly message: string
  /** The path of keys to it. */
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined
}

/** A schema of an answer. */
export type Schema = JsonSchema | StandardSchema

/** The type of an answer's value under a schema; known for a Standard Schema. */
export type SchemaValue<S> = S extends StandardSchema<infer Output> ? Output : unknown

function isStandard(schema: Schema): schema is StandardSchema {
  return typeof schema !== 'boolean' && '~standard' in schema
}

/**
 * The JSON of a JSON schema, or of a Standard Schema's.
 *
 * @throws {OptionError} if it has none, or none that JSON can say
 */
export function schemaJson(schema: Schema): string {
  try {
    return JSON.stringify(isStandard(schema) ? ofStandard(schema) : schema)
  } catch (cause) {
    if (cause instanceof OptionError) throw cause
    const problem = `has no JSON schema: ${reasonOf(cause)}`
    throw Object.assign(new OptionError('schema', problem), { cause })
  }
}

function ofStandard(schema: StandardSchema): unknown {
  const { jsonSchema, vendor } = schema['~standard']
  if (jsonSchema === undefined) {
    const problem = `is a Standard Schema of ${vendor} that gives no JSON schema; take a newer version (Zod from 4.2 on), or give the JSON schema itself`
    throw new OptionError('schema', problem)
  }
  return closed(jsonSchema.input({ target: 'draft-2020-12' }))
}

/**
 * The same with objects that have no properties but those named, where nothing is said of others: such a
 * library drops them or refuses them, and a model would go on making some up.
 */
function closed(schema: unknown, isPart = false): unknown {
  if (Array.isArray(schema)) return schema.map((one) => closed(one, isPart))
  if (typeof schema !== 'object' || schema === null) return schema
  const entries = Object.entries(schema).map(([key, value]) => {
    if (VALUES.has(key)) return [key, value]
    // The parts of an intersection each name some of its properties.
    return [key, closed(value, key === 'allOf')]
  })
  const isOpen =
    'properties' in schema &&
    !('additionalProperties' in schema) &&
    !('patternProperties' in schema)
  const others = isOpen && !isPart ? { additionalProperties: false } : {}
  return { ...Object.fromEntries(entries), ...others }
}

/** Keys under which there are values and no schemas. */
const VALUES = new Set(['const', 'enum', 'default', 'examples'])

/** What there is of a value. */
export type Checked = { value: unknown } | { issues: readonly SchemaIssue[] } | undefined

/** What a whole answer's JSON says, checked by the schema if that can; undefined if it is none. */
export async function readValue(schema: Schema, text: string): Promise<Checked> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  if (!isStandard(schema)) return { value }
  const result = await schema['~standard'].validate(value)
  return result.issues ? { issues: result.issues } : { value: result.value }
}
