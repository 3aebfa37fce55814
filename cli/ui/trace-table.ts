import {
  isFailure,
  type TracedCheckpoint,
  type TraceRequest,
  type TraceResult,
} from '../../src/trace/index.js'
import { columns } from '../output.js'
import { cut as cutTo } from './format.js'
import { onOneLine, visibleJson } from './visible.js'

const NUMBER = 9
const TEXT = 26

/** A trace as a table that grows: a line for each checkpoint, as soon as it has answered. */
export class TraceTable {
  readonly #request: TraceRequest
  readonly #nameWidth: number

  constructor(request: TraceRequest, checkpoints: readonly TracedCheckpoint[]) {
    this.#request = request
    this.#nameWidth = Math.max(8, ...checkpoints.map(({ revision }) => onOneLine(revision).length))
  }

  get head(): string {
    const { continuations = [], text } = this.#request
    return this.#line([
      'revision',
      ...continuations.map((continuation) => show(continuation, NUMBER)),
      ...(text === undefined ? [] : ['perplex.']),
      'likeliest next tokens',
      'greedy',
    ])
  }

  row(result: TraceResult): string {
    if (isFailure(result)) {
      return cut(
        `${onOneLine(result.revision).padEnd(this.#nameWidth)}  ✗ ${onOneLine(result.error.message)}`,
      )
    }
    const { revision, continuations, perplexity, top, greedy } = result
    return this.#line([
      onOneLine(revision),
      ...continuations.map(({ logprob }) => logprob.toFixed(2)),
      ...(this.#request.text === undefined ? [] : [perplexity === null ? '' : short(perplexity)]),
      top.map(({ text, logprob }) => `${show(text, 8)} ${Math.exp(logprob).toFixed(2)}`).join(' '),
      greedy === null ? '' : show(greedy, TEXT),
    ])
  }

  /** Numbers to the right, in columns; texts after them to the left. */
  #line([name = '', ...cells]: string[]): string {
    const texts = cells.splice(-2)
    const numbers = cells.map((cell) => cell.padStart(NUMBER))
    const [tops = '', greedy = ''] = texts
    return cut([name.padEnd(this.#nameWidth), ...numbers, tops.padEnd(5 * 12), greedy].join('  '))
  }
}

/** A line that a terminal does not break; what does not fit is in the files. */
function cut(line: string): string {
  return cutTo(line.trimEnd(), (columns() ?? Number.POSITIVE_INFINITY) - 1)
}

/** A text in quotes, on one line, of so many characters at most. */
function show(text: string, width: number): string {
  const quoted = [...visibleJson(text)]
  return quoted.length <= width ? quoted.join('') : `${quoted.slice(0, width - 1).join('')}…`
}

function short(number: number): string {
  return number < 1e6 ? number.toPrecision(5) : number.toExponential(2)
}
