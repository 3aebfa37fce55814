/**
 * Numbers that AllenAI published in the model card of OLMo 2 7B (`allenai/OLMo-2-1124-7B`), in percent and
 * as they stand there. Nobody here has measured them.
 */

/** A task of the card. */
export interface CardTask {
  /** As the card calls it. */
  name: string
  /** What the labels of this task begin with. */
  labels: readonly string[]
}

/** A table of the card. */
export interface CardTable {
  /** Models, as the card calls them. */
  models: readonly string[]
  /** By the name of the task, in the order of the models. */
  numbers: Readonly<Record<string, readonly number[]>>
}

export const cardTasks: readonly CardTask[] = [
  { name: 'arc_c', labels: ['arc_challenge'] },
  { name: 'arc_e', labels: ['arc_easy'] },
  { name: 'boolq', labels: ['boolq'] },
  { name: 'copa', labels: ['copa'] },
  { name: 'hellaswag', labels: ['hellaswag'] },
  { name: 'openbookqa', labels: ['openbook_qa', 'openbookqa'] },
  { name: 'piqa', labels: ['piqa'] },
  { name: 'sciq', labels: ['sciq'] },
  { name: 'winogrande', labels: ['winogrande'] },
  { name: 'truthfulQA (MC2)', labels: ['truthfulqa'] },
  { name: 'MMLU (5 shot MC)', labels: ['mmlu'] },
  { name: 'GSM8k', labels: ['gsm8k'] },
]

/** The table of OLMo 2 7B and its peers, which has the 13B of Llama 2 but no OLMo 2 13B. */
const large: CardTable = {
  models: [
    ...['Llama-7b', 'Llama2-7b', 'Falcon-7b', 'Mpt-7b', 'OLMo-7B', 'Llama2-13b'],
    ...['OLMo 7B April 2024', 'OLMo2 7B'],
  ],
  numbers: {
    arc_c: [44.5, 48.5, 47.5, 46.5, 48.5, 52.8, 42.5, 43.8],
    arc_e: [67.9, 69.5, 70.4, 70.5, 65.4, 73.7, 67.2, 68.8],
    boolq: [75.4, 80.2, 74.6, 74.2, 73.4, 82.2, 83.7, 78.9],
    copa: [91.0, 86.0, 86.0, 85.0, 90.0, 90.0, 86.0, 84.0],
    hellaswag: [76.2, 76.8, 75.9, 77.6, 76.4, 78.6, 75.5, 77.4],
    openbookqa: [51.2, 48.4, 53.0, 48.6, 50.4, 51.8, 50.0, 48.2],
    piqa: [77.2, 76.7, 78.5, 77.3, 78.4, 79.0, 77.5, 78.2],
    sciq: [93.9, 94.5, 93.9, 93.7, 93.8, 95.5, 96.7, 97.0],
    winogrande: [70.5, 69.4, 68.9, 69.9, 67.9, 73.5, 69.8, 68.8],
    'truthfulQA (MC2)': [33.9, 38.5, 34.0, 33.0, 36.0, 36.8, 35.8, 36.5],
    'MMLU (5 shot MC)': [31.5, 45.0, 24.0, 30.8, 28.3, 55.5, 52.0, 53.4],
    GSM8k: [10.0, 12.0, 4.0, 4.5, 8.5, 25.0, 29.0, 35.0],
  },
}

/** The table that the card puts under OLMo 13B; its models are of some 1B parameters. */
const small: CardTable = {
  models: [
    'random',
    'StableLM 2 1.6b',
    'Pythia 1B',
    'TinyLlama 1.1B',
    'OLMo 1.0 1B',
    'OLMo 1B July 2024',
  ],
  numbers: {
    arc_c: [25, 43.81, 33.11, 34.78, 34.45, 36.5],
    arc_e: [25, 63.68, 50.18, 53.16, 58.07, 55.3],
    boolq: [50, 76.6, 61.8, 64.6, 60.7, 67.5],
    copa: [50, 84, 72, 78, 79, 83.0],
    hellaswag: [25, 68.2, 44.7, 58.7, 62.5, 66.9],
    openbookqa: [25, 45.8, 37.8, 43.6, 46.4, 46.4],
    piqa: [50, 74, 69.1, 71.1, 73.7, 74.9],
    sciq: [25, 94.7, 86, 90.5, 88.1, 93.4],
    winogrande: [50, 64.9, 53.3, 58.9, 58.9, 61.4],
  },
}

/** The tables of the card by the size of their models. */
export const cardTables = { '7b': large, '1b': small } as const

export type CardSize = keyof typeof cardTables
