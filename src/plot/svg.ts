/** A line of text. */
export function text(
  x: number,
  y: number,
  content: string,
  style: string,
  anchor: 'start' | 'middle' | 'end' = 'start',
): string {
  const where = anchor === 'start' ? '' : ` text-anchor="${anchor}"`
  return `<text class="${style}" x="${x}" y="${y}"${where} xml:space="preserve">${xml(content)}</text>`
}

export function verticalLine(style: string, x: number, top: number, height: number): string {
  return `<line class="${style}" x1="${x}" x2="${x}" y1="${top}" y2="${top + height}"/>`
}

/** What XML allows; other control characters, as a model may write them, it has no way to say. */
export function xml(content: string): string {
  const names: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' }
  return content
    .replace(/[&<>"]/g, (character) => names[character] ?? '')
    .replace(/(?!\n)\p{Cc}|\p{Cs}|[\uFFFE\uFFFF]/gu, '\uFFFD')
}

/** A text on one line, of so many characters at most. */
export function clip(content: string, length: number): string {
  const line = content.replace(/\s*\n\s*/g, ' ⏎ ')
  const characters = [...line]
  return characters.length <= length ? line : `${characters.slice(0, length - 1).join('')}…`
}

/** Three digits after the point at most; a true minus. */
export function decimal(value: number): string {
  return String(Number(value.toFixed(3))).replace('-', '−')
}

/** As many digits as a picture needs. */
export function round(value: number): number {
  return Math.round(value * 100) / 100
}
