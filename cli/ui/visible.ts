/**
 * What a terminal may obey, or show so that a text reads as another: control characters (C0, DEL, C1),
 * what changes the direction of writing, ends of lines that are none in a file, and invisible tags.
 */
const DECEPTIVE =
  /[\p{Cc}\u061C\u200E\u200F\u2028\u2029\u202A-\u202E\u2060-\u206F\uFEFF\uFFF9-\uFFFB\u{E0000}-\u{E007F}]/gu

/**
 * A text that does no more than stand there: what a terminal may obey is written as JSON would write it,
 * `\u001b`. Line ends and tabs stay.
 */
export function visible(text: string): string {
  return text
    .replaceAll('\r\n', '\n')
    .replace(DECEPTIVE, (found) => (found === '\n' || found === '\t' ? found : escaped(found)))
}

/** As {@link visible}, for a cell of a table or a name in a sentence, which has no line ends either. */
export function onOneLine(text: string): string {
  return text.replace(DECEPTIVE, escaped)
}

/** JSON on one line whose texts a terminal may be shown: the same value, with more of it escaped. */
export function visibleJson(value: unknown): string {
  return onOneLine(JSON.stringify(value))
}

const SHORT: Record<string, string> = { '\n': '\\n', '\t': '\\t', '\r': '\\r' }

function escaped(character: string): string {
  return SHORT[character] ?? [...units(character)].map(asEscape).join('')
}

function* units(character: string): Generator<number> {
  for (let index = 0; index < character.length; index += 1) yield character.charCodeAt(index)
}

function asEscape(unit: number): string {
  return `\\u${unit.toString(16).padStart(4, '0')}`
}
