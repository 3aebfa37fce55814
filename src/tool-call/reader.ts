import type { ToolCall } from './types.js'

/** How calls stand in an answer: JSON between two marks, or alone if they are empty. */
export interface CallMarks {
  open: string
  close: string
}

/** A part of an answer that may have calls, while it comes. */
export type ToolEvent =
  | { type: 'text'; text: string }
  /** A call begins. */
  | { type: 'call'; id: string; name: string }
  /** The next part of the JSON of a call's arguments. */
  | { type: 'arguments'; id: string; text: string }
  /** A call is whole. */
  | { type: 'end'; call: ToolCall }

/** What stands before the arguments, where the name comes first. */
const HEAD = /^\s*\{\s*"name"\s*:\s*("(?:[^"\\]|\\.)*")\s*,\s*"(?:arguments|parameters)"\s*:\s*/

interface Open {
  id: string
  name: string
  /** The JSON of the arguments so far. */
  json: string
  scan: JsonScan
}

/**
 * Finds calls in an answer as its text comes. What turns out to be no call is text.
 *
 * ```text
 * text      until the mark of a call; a beginning of it waits
 * call      {"name": …, "arguments":     is waited for
 *           the arguments                are given on as they come
 *           the closing mark             ends it
 * ```
 */
export class ToolCallReader {
  readonly #marks: CallMarks
  readonly #names: ReadonlySet<string>
  #rest = ''
  /** Since when the text is in a call: what of it has come; undefined outside. */
  #body: string | undefined
  #open: Open | undefined
  /** Whether anything but blanks has come outside of calls, where calls have no marks. */
  #isText = false
  /** The blanks that came since a call; undefined if more than blanks did. */
  #gap: string | undefined
  readonly #prefix: string
  #count = 0

  /**
   * @param names of the tools: anything under another name is not a call
   * @param prefix What the ids of the calls begin with
   */
  constructor(marks: CallMarks, names: Iterable<string>, prefix: string) {
    this.#marks = marks
    this.#prefix = prefix
    this.#names = new Set(names)
  }

  /** Takes the next part of the text. */
  push(text: string): ToolEvent[] {
    this.#rest += text
    const events: ToolEvent[] = []
    while (this.#step(events));
    return this.#withoutGaps(joined(events))
  }

  #newId(): string {
    this.#count += 1
    return `${this.#prefix}${this.#count}`
  }

  /** The rest, when no more text comes. */
  finish(): ToolEvent[] {
    const events: ToolEvent[] = []
    // A call that was cut off is neither call nor text, and so is the beginning of a mark behind another.
    const isCutOff =
      this.#marks.open !== '' && (this.#body !== undefined || this.#gap !== undefined)
    if (isCutOff && this.#open === undefined) this.#body = undefined
    else if (this.#body !== undefined) this.#close(events, this.#rest)
    else if (this.#rest !== '') events.push({ type: 'text', text: this.#rest })
    this.#rest = ''
    return this.#withoutGaps(joined(events))
  }

  /** Blanks behind a call are nothing that is said, unless something follows them. */
  #withoutGaps(events: readonly ToolEvent[]): ToolEvent[] {
    return events.flatMap((event): ToolEvent[] => {
      if (event.type === 'end') this.#gap = ''
      if (event.type === 'call') this.#gap = undefined
      if (event.type !== 'text' || this.#gap === undefined) return [event]
      const text = this.#gap + event.text
      const isGap = text.trim() === ''
      this.#gap = isGap ? text : undefined
      return isGap ? [] : [{ type: 'text', text }]
    })
  }

  /** One step; whether there may be another. */
  #step(events: ToolEvent[]): boolean {
    if (this.#rest === '') return false
    if (this.#body === undefined) return this.#outside(events)
    return this.#open ? this.#arguments(events) : this.#head(events)
  }

  #outside(events: ToolEvent[]): boolean {
    const { open } = this.#marks
    if (open === '') return this.#bare(events)
    const at = this.#rest.indexOf(open)
    const certain = at < 0 ? this.#rest.length - overlap(this.#rest, open) : at
    if (certain > 0) events.push({ type: 'text', text: this.#rest.slice(0, certain) })
    this.#rest = this.#rest.slice(certain + (at < 0 ? 0 : open.length))
    if (at >= 0) this.#body = ''
    return at >= 0
  }

  /** Without marks, an answer that begins with a brace is calls. */
  #bare(events: ToolEvent[]): boolean {
    const start = this.#rest.search(/[^\s;,]/)
    if (this.#isText || (start >= 0 && this.#rest[start] !== '{')) {
      this.#isText = true
      events.push({ type: 'text', text: this.#rest })
      this.#rest = ''
      return false
    }
    if (start < 0) return false
    this.#rest = this.#rest.slice(start)
    this.#body = ''
    return true
  }

  /** Waits for the name; a call whose name comes later waits for its end. */
  #head(events: ToolEvent[]): boolean {
    const whole = this.#body + this.#rest
    const head = HEAD.exec(whole)
    const name = head?.[1] === undefined ? undefined : (parse(head[1]) as string | undefined)
    if (head && name !== undefined && this.#names.has(name)) {
      this.#open = { id: this.#newId(), name, json: '', scan: new JsonScan() }
      events.push({ type: 'call', id: this.#open.id, name })
      this.#body = whole.slice(0, head[0].length)
      this.#rest = whole.slice(head[0].length)
      return true
    }
    return this.#untilEnd(events)
  }

  /** Gives on arguments until their JSON is whole. */
  #arguments(events: ToolEvent[]): boolean {
    const open = this.#open as Open
    if (open.scan.isWhole) return this.#untilEnd(events)
    if (open.json === '') this.#rest = this.#rest.trimStart()
    const length = open.scan.take(this.#rest)
    const text = this.#rest.slice(0, length)
    this.#rest = this.#rest.slice(length)
    open.json += text
    this.#body += text
    if (text !== '') events.push({ type: 'arguments', id: open.id, text })
    return length > 0 && this.#rest !== ''
  }

  #untilEnd(events: ToolEvent[]): boolean {
    const { close } = this.#marks
    const whole = (this.#body ?? '') + this.#rest
    const end = close === '' ? endOfJson(whole) : whole.indexOf(close)
    if (end < 0) return false
    const body = whole.slice(0, end)
    this.#rest = whole.slice(end + close.length)
    this.#body = body
    this.#close(events, '', close)
    return true
  }

  /** Ends a call, or what was none. */
  #close(events: ToolEvent[], rest: string, close = ''): void {
    const body = (this.#body ?? '') + rest
    const open = this.#open
    this.#body = undefined
    this.#open = undefined
    const found = readCall(body, this.#names)
    if (found === undefined && open === undefined) {
      events.push({ type: 'text', text: this.#marks.open + body + close })
      if (this.#marks.open === '') this.#isText = true
      return
    }
    if (open !== undefined) {
      const call = { id: open.id, name: open.name, arguments: parse(open.json) }
      // Arguments that were cut off are none: the call never ends.
      if (call.arguments !== undefined) events.push({ type: 'end', call })
      return
    }
    if (found === undefined) return
    const id = this.#newId()
    events.push({ type: 'call', id, name: found.name })
    events.push({ type: 'arguments', id, text: JSON.stringify(found.arguments) })
    events.push({ type: 'end', call: { id, ...found } })
  }
}

/** The calls of a whole answer, and what is said beside them. */
export function readCalls(
  reader: ToolCallReader,
  text: string,
): { content: string; calls: ToolCall[] } {
  const events = [...reader.push(text), ...reader.finish()]
  const content = events.flatMap((event) => (event.type === 'text' ? [event.text] : [])).join('')
  const calls = events.flatMap((event) => (event.type === 'end' ? [event.call] : []))
  return { content: calls.length > 0 ? content.trim() : content, calls }
}

function readCall(body: string, names: ReadonlySet<string>): Omit<ToolCall, 'id'> | undefined {
  const value = parse(body) as Record<string, unknown> | null | undefined
  if (typeof value !== 'object' || value === null || typeof value.name !== 'string')
    return undefined
  if (!names.has(value.name)) return undefined
  return { name: value.name, arguments: value.arguments ?? value.parameters ?? {} }
}

function parse(json: string): unknown {
  try {
    return JSON.parse(json)
  } catch {
    return undefined
  }
}

/** Characters at the end of a text that a mark could begin with. */
function overlap(text: string, mark: string): number {
  for (let length = Math.min(mark.length - 1, text.length); length > 0; length--) {
    if (mark.startsWith(text.slice(-length))) return length
  }
  return 0
}

/** Where the JSON that a text begins with ends; -1 if it is not whole. */
function endOfJson(text: string): number {
  const scan = new JsonScan()
  const length = scan.take(text)
  return scan.isWhole ? length : -1
}

/** Follows brackets and quotes to the end of a JSON object, in parts. */
class JsonScan {
  isWhole = false
  #depth = 0
  #inText = false
  #escaped = false

  /** How many of the characters belong to it. */
  take(text: string): number {
    for (let at = 0; at < text.length; at++) {
      if (this.#ends(text[at] as string)) {
        this.isWhole = true
        return this.#depth < 0 ? at : at + 1
      }
    }
    return text.length
  }

  /** Whether the value ends with this character. */
  #ends(character: string): boolean {
    if (this.#escaped) this.#escaped = false
    else if (this.#inText) {
      if (character === '\\') this.#escaped = true
      else if (character === '"') this.#inText = false
    } else if (character === '"') this.#inText = true
    else if (character === '{' || character === '[') this.#depth += 1
    else if (character === '}' || character === ']') {
      this.#depth -= 1
      // Below 0 is the end of what the value stands in.
      return this.#depth <= 0
    }
    return false
  }
}

/** Texts that follow one another as one. */
function joined(events: readonly ToolEvent[]): ToolEvent[] {
  const list: ToolEvent[] = []
  for (const event of events) {
    const last = list.at(-1)
    if (event.type === 'text' && last?.type === 'text') last.text += event.text
    else list.push({ ...event })
  }
  return list
}
