import { CheckpointError } from '../../errors.js'

/** A row of a task's file: what a template's places are filled from. */
export type Row = Readonly<Record<string, unknown>>

/**
 * Fills the places of a template, as in `Question: {{question}}`, from a row. Texts and numbers go in as they are;
 * what they hold is never a place itself.
 *
 * @param where The row, for errors
 * @throws {CheckpointError} `INVALID_FILE` if the row has nothing of a name, or no text or number
 */
export function fill(template: string, row: Row, where: string): string {
  return template.replaceAll(/\{\{\s*([^{}]*?)\s*\}\}/g, (_, name: string) => {
    const value = Object.hasOwn(row, name) ? row[name] : undefined
    if (typeof value === 'string') return value
    if (typeof value === 'number') return String(value)
    const problem = value === undefined ? 'is not there' : 'is no text and no number'
    const message = `${where}: \`${name}\`, which the template asks for, ${problem}`
    throw new CheckpointError('INVALID_FILE', message)
  })
}
