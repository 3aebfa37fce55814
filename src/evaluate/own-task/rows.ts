import { CheckpointError } from '../../errors.js'
import { linesOf } from '../lines.js'
import { rowsOf } from '../parquet-rows.js'
import { type Row, valueAt } from './template.js'

/** A question of a task of one's own. */
export interface Question {
  /** The file and the line, for errors. */
  where: string
  /** All of the line, for templates. */
  row: Row
  /** What may follow; of a question that is answered by one text, that text. */
  choices: string[]
  /** Which is right. */
  gold: number
  /** Whether there is something to choose from. */
  isChoice: boolean
  id: string | undefined
  subject: string | undefined
}

/** Where a row has what makes a question of it. */
export interface Columns {
  /** A column with a list, or a column for each choice. Default `choices`. */
  choices?: string | readonly string[] | undefined
  /** Default `answer`. */
  answer?: string | undefined
}

/**
 * The questions in a file: a line of JSON each, or a row of a Parquet file, with `choices` and an `answer` that is a
 * choice's number from 0, its text or its letter, or with an `answer` that is a text. `id` and `subject` are taken
 * where they are.
 *
 * @param most Questions after which no more are read
 * @throws {CheckpointError} `INVALID_FILE` with the line, if it is no question
 */
export async function* readQuestions(
  path: string,
  columns: Columns = {},
  most = Number.POSITIVE_INFINITY,
): AsyncGenerator<Question, void> {
  let count = 0
  if (most <= 0) return
  for await (const { number, text } of isParquet(path) ? numbered(path) : linesOf(path)) {
    yield question(text, columns, `${path}:${number}`)
    count += 1
    if (count >= most) return
  }
}

const isParquet = (path: string) => path.endsWith('.parquet')

async function* numbered(path: string) {
  for (const [index, text] of (await rowsOf(path)).entries()) yield { number: index + 1, text }
}

function question(text: string, columns: Columns, where: string): Question {
  const wrong = (problem: string) => new CheckpointError('INVALID_FILE', `${where}: ${problem}`)
  const row = parsed(text)
  if (row === undefined) throw wrong('this line is not a JSON object')
  const { id, subject } = row
  const named = { id: name(id), subject: name(subject) }
  const column = columns.answer ?? 'answer'
  const answer = valueAt(row, column)
  const [choices, called] = choicesOf(row, columns.choices ?? 'choices')
  // Where columns are named, each row has to have them.
  if (choices === undefined && columns.choices === undefined) {
    if (typeof answer !== 'string' || answer === '')
      throw wrong(`without \`choices\`, \`${column}\` has to be a text`)
    return { where, row, choices: [answer], gold: 0, isChoice: false, ...named }
  }
  if (!isTexts(choices) || choices.length < 2)
    throw wrong(`${called} has to be a list of texts, two at least`)
  const gold = placeOf(answer, choices)
  if (gold === undefined)
    throw wrong(
      `\`${column}\` has to be a number from 0 to ${choices.length - 1}, a choice, or its letter`,
    )
  return { where, row, choices, gold, isChoice: true, ...named }
}

/** What may be the choices of a row, and what that is called. */
function choicesOf(row: Row, from: string | readonly string[]): [unknown, string] {
  if (typeof from === 'string') return [valueAt(row, from), `\`${from}\``]
  return [from.map((column) => valueAt(row, column)), `what ${from.join(', ')} hold`]
}

function parsed(text: string): Row | undefined {
  try {
    const value: unknown = JSON.parse(text)
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
    return isObject ? (value as Row) : undefined
  } catch {
    return undefined
  }
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((one) => typeof one === 'string' && one !== '')
}

/** A choice's number, by its number, its text or its letter, in this order. */
function placeOf(answer: unknown, choices: readonly string[]): number | undefined {
  if (typeof answer === 'number') return answer in choices ? answer : undefined
  if (typeof answer !== 'string') return undefined
  const place = choices.indexOf(answer)
  if (place >= 0) return choices.lastIndexOf(answer) === place ? place : undefined
  const letter = answer.length === 1 ? answer.toUpperCase().charCodeAt(0) - 65 : -1
  return letter in choices ? letter : undefined
}

function name(value: unknown): string | undefined {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : undefined
}
