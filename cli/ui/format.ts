/** `1484916736` → `1,484,916,736`. */
export function count(number: number): string {
  return number.toLocaleString('en-US')
}

/** A number of tokens and how fast they went. */
export function speed(tokens: number, milliseconds: number): string {
  const seconds = milliseconds / 1000
  const rate = seconds > 0 ? `, ${(tokens / seconds).toFixed(1)} tokens/s` : ''
  return `${count(tokens)} tokens in ${seconds.toFixed(2)} s${rate}`
}

/** `42 s`, `3 min 20 s` or `1 h 5 min`. */
export function duration(seconds: number): string {
  const whole = Math.ceil(seconds)
  if (whole < 60) return `${whole} s`
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`
}

/** The beginning of a line, of so many characters at most: what goes on in the next cannot be taken away. */
export function cut(line: string, width: number): string {
  return [...line].slice(0, Math.max(0, width)).join('')
}

/** A text in lines of so many characters at most, broken at spaces where it has some. */
export function wrap(text: string, width: number): string {
  return text
    .split('\n')
    .map((line) => wrapLine(line, Math.max(width, 1)))
    .join('\n')
}

function wrapLine(line: string, width: number): string {
  const lines: string[] = []
  let rest = [...line]
  while (rest.length > width) {
    const space = rest.lastIndexOf(' ', width)
    const indented = rest.findIndex((character) => character !== ' ')
    const end = space > indented ? space : width
    lines.push(rest.slice(0, end).join('').trimEnd())
    rest = rest.slice(rest[end] === ' ' ? end + 1 : end)
  }
  return [...lines, rest.join('')].join('\n')
}
