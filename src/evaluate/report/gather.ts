import { firstOfEach } from '../read.js'
import type { ScoredDocument } from '../results.js'

/** What the documents of a task come to. */
export interface TaskDocuments {
  label: string
  /** Those that a page shows, in the order of the file. */
  shown: ScoredDocument[]
  /** How many there are. */
  count: number
  /** How a guess would do: the mean of one in so many choices; null where nothing is compared. */
  chance: number | null
  subjects: SubjectResult[]
}

/** How many documents of a subject a model gets right. */
export interface SubjectResult {
  subject: string
  documents: number
  right: number
}

export interface GatherOptions {
  /** The most documents of a task to keep. */
  documents: number
  /** The most characters of their texts, of all tasks together. */
  characters: number
  /** The labels that there are. */
  labels: readonly string[]
}

/** The longest text of a document that is shown whole. */
const LONGEST = 40_000

class Task {
  readonly #shown: ScoredDocument[] = []
  readonly #marks: Mark[] = []
  readonly #most: number
  #room: number

  constructor(most: number, room: number) {
    this.#most = most
    this.#room = room
  }

  add(document: ScoredDocument): void {
    const { subject, correct, choices } = document
    this.#marks.push({ subject, correct, choices: choices.length })
    const clipped = clippedDocument(document)
    const size = sizeOf(clipped)
    if (this.#shown.length >= this.#most || size > this.#room) return
    this.#room -= size
    this.#shown.push(clipped)
  }

  result(label: string): TaskDocuments {
    const marks = this.#marks
    const compared = marks.filter(({ correct, choices }) => correct !== null && choices > 1)
    const guesses = compared.reduce((sum, { choices }) => sum + 1 / choices, 0)
    return {
      label,
      shown: this.#shown.toSorted((a, b) => a.doc_id - b.doc_id),
      count: marks.length,
      chance: compared.length > 0 ? guesses / compared.length : null,
      subjects: subjectsOf(marks),
    }
  }
}

interface Mark {
  subject: string | undefined
  correct: boolean | null
  choices: number
}

/**
 * Reads the documents of an evaluation once, in bounded memory, and keeps those that a page shows: of
 * each task the first, until they are so many or so long.
 */
export async function gather(
  documents: AsyncIterable<ScoredDocument>,
  { documents: most, characters, labels }: GatherOptions,
): Promise<Map<string, TaskDocuments>> {
  const room = Math.floor(characters / Math.max(1, labels.length))
  const tasks = new Map(labels.map((label) => [label, new Task(most, room)]))
  // A document of a task that the table does not have is of no evaluation that ended.
  for await (const document of firstOfEach(documents)) tasks.get(document.label)?.add(document)
  return new Map([...tasks].map(([label, task]) => [label, task.result(label)]))
}

function subjectsOf(marks: readonly Mark[]): SubjectResult[] {
  const subjects = new Map<string, SubjectResult>()
  for (const { subject, correct } of marks) {
    if (subject === undefined || correct === null) continue
    const found = subjects.get(subject) ?? { subject, documents: 0, right: 0 }
    found.documents += 1
    found.right += Number(correct)
    subjects.set(subject, found)
  }
  return [...subjects.values()]
}

function sizeOf({ prompt, choices, generated = '', error = '' }: ScoredDocument): number {
  const texts = choices.reduce((sum, { text, prompt = '' }) => sum + text.length + prompt.length, 0)
  return prompt.length + texts + generated.length + error.length + 200 * (1 + choices.length)
}

/** The end of a long prompt is what the choices follow; of other texts it is the beginning that tells. */
function clippedDocument(document: ScoredDocument): ScoredDocument {
  const { prompt, choices, generated } = document
  const cut = (text: string) => (text.length > LONGEST ? `${text.slice(0, LONGEST)}…` : text)
  const cutPrompt = (text: string) => (text.length > LONGEST ? `…${text.slice(-LONGEST)}` : text)
  return {
    ...document,
    prompt: cutPrompt(prompt),
    choices: choices.map((choice) => ({
      ...choice,
      text: cut(choice.text),
      ...(choice.prompt !== undefined && { prompt: cutPrompt(choice.prompt) }),
    })),
    ...(generated !== undefined && { generated: cut(generated) }),
  }
}
