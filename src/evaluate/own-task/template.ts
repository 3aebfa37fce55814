import { CheckpointError } from '../../errors.js'

/** A row of a task's file: what a template's places are filled from. */
export type Row = Readonly<Record<string, unknown>>

/** What a row has at a path of columns and of what is in them, such as `choices.text`. */
export function valueAt(row: Row, path: string): unknown {
  if (Object.hasOwn(row, path)) return row[path]
  const [column = '', ...rest] = path.split('.')
  const value = Object.hasOwn(row, column) ? row[column] : undefined
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
  return isObject && rest.length > 0 ? valueAt(value as Row, rest.join('.')) : undefined
}

/**
 * Fills the places of a template, as in `Question: {{question}}`, from a row. Texts and numbers go in as they are;
 * what they hold is never a place itself.
 *
 * @param where The row, for errors
 * @throws {CheckpointError} `INVALID_FILE` if the row has nothing of a name, or no text or number
 */
export function fill(template: string, row: Row, where: string): string {
  return template.replaceAll(/\{\{\s*([^{}]*?)\s*\}\}/g, (_, name: string) => {
    const value = valueAt(row, name)
    if (typeof value === 'string') return value
    if (typeof value === 'number') return String(value)
    const problem = value === undefined ? 'is not there' : 'is no text and no number'
    const message = `${where}: \`${name}\`, which the template asks for, ${problem}`
    throw new CheckpointError('INVALID_FILE', message)
  })
}
