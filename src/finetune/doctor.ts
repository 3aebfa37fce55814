import { checkArgument } from '../arguments.js'
import { CheckpointError } from '../errors.js'
import { findPython, pythonProgram, runPython } from '../python.js'

/** What a Python has of what training takes. */
export interface PythonReport {
  /** Its version. */
  python: string
  /** Where it is. */
  executable: string
  /** Versions of packages by their names; null for one that is not there. */
  packages: Record<string, string | null>
  /** What torch can use; null if it is not there or does not load. */
  torch: { cuda: string | null; devices: number; gloo: boolean } | null
  /** Why torch does not load. */
  error?: string
}

/** What {@link fineTuneDoctor} finds. */
export interface DoctorReport extends PythonReport {
  /** Trainers that can run, and what is missing for the others. */
  trainers: { trainer: 'olmo-core' | 'open-instruct' | 'olmo'; ready: boolean; missing: string[] }[]
  /** What installs all that is missing for OLMo-core; null if nothing is. */
  pip: string | null
}

/** Packages of each trainer, with the versions that were tried. */
const NEEDS = {
  'olmo-core': ['torch', 'ai2-olmo-core', 'transformers', 'safetensors', 'numpy'],
  'open-instruct': ['torch', 'ai2-olmo-core', 'transformers', 'accelerate'],
  olmo: ['torch', 'ai2-olmo', 'numpy'],
} as const

/** What pip is told to install. */
const PINS: Record<string, string> = {
  torch: 'torch>=2.10,<2.14',
  'ai2-olmo-core': 'ai2-olmo-core==3.0.0',
}

/** The first version of OLMo-core that reads where documents begin. */
const OLMO_CORE = 3

/** Asks a Python what it has. */
export async function probePython(python: string): Promise<PythonReport> {
  let report: PythonReport | undefined
  await runPython({
    python,
    args: [pythonProgram('checkpoint.py'), 'probe'],
    onLine: (line) => {
      if (line.startsWith('{')) report = JSON.parse(line) as PythonReport
    },
  })
  if (report) return report
  throw new CheckpointError('INVALID_FILE', `${python} did not say what it has`)
}

/**
 * Which Python, torch and trainers there are, and what is missing.
 *
 * @param python Default: that of `OLMO2_PYTHON`, of the active environment, or the system's
 * @throws {ResourceError} `NO_PYTHON` if there is none
 */
export async function fineTuneDoctor(python?: string): Promise<DoctorReport> {
  if (python !== undefined) checkArgument('python', python, 'path')
  const report = await probePython(await findPython(python))
  const trainers = Object.entries(NEEDS).map(([trainer, needs]) => {
    const missing = needs.flatMap((name) => lack(report, name, trainer))
    return { trainer: trainer as keyof typeof NEEDS, ready: missing.length === 0, missing }
  })
  const missing = trainers.find(({ trainer }) => trainer === 'olmo-core')?.missing ?? []
  const wanted = missing.map((text) => text.split(' ')[0] ?? text)
  const packages = wanted.map((name) => `'${PINS[name] ?? name}'`).join(' ')
  return {
    ...report,
    trainers,
    pip: wanted.length === 0 ? null : `${report.executable} -m pip install ${packages}`,
  }
}

/** What is wrong with a package; nothing if it will do. */
function lack(report: PythonReport, name: string, trainer: string): string[] {
  const version = report.packages[name] ?? null
  if (version === null) return [name]
  if (name === 'torch' && report.torch === null)
    return [`torch (does not load: ${report.error ?? ''})`]
  const [major = 0] = version.split('.').map(Number)
  if (trainer === 'olmo-core' && name === 'ai2-olmo-core' && major < OLMO_CORE) {
    return [`ai2-olmo-core (is ${version}, but 3.0.0 or later is needed)`]
  }
  return []
}
