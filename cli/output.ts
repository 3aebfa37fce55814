// A stream without a listener ends the process when its reader goes; `write` reports it instead.
process.stdout.on('error', () => {})
process.stderr.on('error', () => {})

/** Writes to standard output and waits until it is taken, so that a slow reader slows us down. */
export function write(text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.write(text, (error) => (error ? reject(error) : resolve()))
  })
}

/** Writes one JSON object and a line end to standard output. */
export function writeJson(value: object): Promise<void> {
  return write(`${JSON.stringify(value)}\n`)
}

/** Writes a line to standard error: whatever is not the answer itself. */
export function note(text: string): void {
  process.stderr.write(`${text}\n`)
}
