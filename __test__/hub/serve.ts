// Serves the mock hub for other programs, such as `scripts/interop/check.py`, until its standard
// input ends. The repository and what it holds are the same each time.

import { MockHub } from './mock-hub.js'
import { fakeCheckpoint, ID, noise, repo, slashBranch } from './setup.js'

const hub = await MockHub.start({
  [ID]: repo(fakeCheckpoint(), slashBranch),
  [`datasets/${ID}`]: repo({ 'main/rows.parquet': noise(5000) }),
})
process.stdin.resume().on('end', () => hub.stop())
process.stdin.on('data', (line) => {
  // Any line asks for what was seen since the last.
  const seen = line.toString().trim() === 'seen' ? hub.seen.splice(0) : []
  process.stdout.write(`${JSON.stringify(seen)}\n`)
})
process.stdout.write(`${JSON.stringify({ endpoint: hub.endpoint, cdn: hub.cdn })}\n`)
