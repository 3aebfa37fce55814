/** A row of a table as RFC 4180 says: quoted where it must be, and quotes doubled. Null is an empty cell. */
export function csvRow(cells: readonly (string | number | null)[]): string {
  return `${cells.map(cell).join(',')}\n`
}

function cell(value: string | number | null): string {
  if (typeof value === 'number') return String(value)
  const text = inert(value ?? '')
  return /[",\r\n\t']/.test(text) || text !== text.trim() ? `"${text.replaceAll('"', '""')}"` : text
}

/** A text that no spreadsheet takes for a formula: OWASP's apostrophe before what begins like one. */
function inert(text: string): string {
  return /^[=+\-@\t\r\n＝＋－＠]/.test(text) ? `'${text}` : text
}
