import { access } from 'node:fs/promises'
import { join } from 'node:path'

import { CheckpointError, ResourceError } from './errors.js'
import { packageRoot } from './package.js'
import { reasonOf } from './realm.js'

/** A program of this package in Python. */
export const pythonProgram = (name: string): string => join(packageRoot, 'python', name)

/**
 * The Python that is asked for, or that of the environment that is active, or the system's.
 *
 * @param given A path, or a name that the system finds
 */
export async function findPython(given?: string): Promise<string> {
  const { OLMO2_PYTHON, VIRTUAL_ENV } = process.env
  if (given !== undefined) return given
  if (OLMO2_PYTHON) return OLMO2_PYTHON
  if (VIRTUAL_ENV) {
    const bin = process.platform === 'win32' ? 'Scripts/python.exe' : 'bin/python'
    const path = join(VIRTUAL_ENV, bin)
    if (await isThere(path)) return path
  }
  return process.platform === 'win32' ? 'python' : 'python3'
}

const isThere = (path: string) =>
  access(path).then(
    () => true,
    () => false,
  )

/** How a program in Python is run. */
export interface PythonRun {
  /** The Python to use. */
  python: string
  /** A program of {@link pythonProgram}, and its arguments. */
  args: readonly string[]
  signal?: AbortSignal | undefined
  /** Is told every line of standard output. */
  onLine?: ((line: string) => void) | undefined
}

/** The most of what a program says that is kept for a message. */
const KEPT = 4096

/**
 * Runs a program to its end.
 *
 * @throws {ResourceError} `NO_PYTHON` if there is no such Python, or it lacks a package
 * @throws {CheckpointError} `INVALID_FILE` with the last line it said, if it fails otherwise
 * @throws the signal's reason, if it aborts
 */
export async function runPython({ python, args, signal, onLine }: PythonRun): Promise<void> {
  // Loaded here: who converts and trains nothing needs no processes.
  const { execa } = await import('execa')
  const subprocess = execa(python, [...args], {
    ...(signal && { cancelSignal: signal, gracefulCancel: false }),
    stdin: 'ignore',
    buffer: false,
    reject: false,
    env: { PYTHONUNBUFFERED: '1', TOKENIZERS_PARALLELISM: 'false' },
  })
  let said = ''
  subprocess.stderr.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-KEPT)
  })
  for await (const line of subprocess.iterable({ from: 'stdout' })) onLine?.(String(line))
  const result = await subprocess
  signal?.throwIfAborted()
  if (!result.failed) return
  if (result.exitCode === undefined) throw noPython(python, reasonOf(result.cause ?? result))
  throw failure(python, said, result.exitCode)
}

function noPython(python: string, reason: string): ResourceError {
  return new ResourceError('NO_PYTHON', [
    { kind: 'words', words: `${python} cannot be started: ${reason}; ` },
    { kind: 'words', words: 'install Python 3.10 or later, or name one with ' },
    { kind: 'subject', option: 'python' },
  ])
}

function failure(python: string, said: string, exitCode: number): Error {
  const last = said.trim().split('\n').at(-1)?.trim() || `exit code ${exitCode}`
  const [, name] = /^ModuleNotFoundError: No module named '([^']+)'/.exec(last) ?? []
  if (name === undefined) return new CheckpointError('INVALID_FILE', `Python says: ${last}`)
  const packages: Record<string, string> = { olmo_core: 'ai2-olmo-core', olmo: 'ai2-olmo' }
  const wanted = packages[name] ?? name
  const message = `${python} has no package ${wanted}: ${python} -m pip install ${wanted}`
  return new ResourceError('NO_PYTHON', message)
}
