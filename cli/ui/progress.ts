import { formatBytes } from '../../src/hub/index.js'
import { cut } from './format.js'
import { dim } from './style.js'

const WIDTH = 24

/** A bar on standard error, if that is a terminal; otherwise nothing. */
export function progressBar(label: string) {
  const stream = process.stderr
  let shown = false
  return {
    update({ loaded, total }: { loaded: number; total: number }): void {
      if (!stream.isTTY) return
      const filled = total > 0 ? Math.round((WIDTH * loaded) / total) : WIDTH
      const bar = '█'.repeat(filled) + dim('░'.repeat(WIDTH - filled), stream)
      const line = `${label} ${bar} ${formatBytes(loaded)} of ${formatBytes(total)}`
      stream.write(`\r${cut(line, (stream.columns || 80) - 1)}\x1b[K`)
      shown = true
    },
    clear(): void {
      if (shown) stream.write('\r\x1b[K')
    },
  }
}
