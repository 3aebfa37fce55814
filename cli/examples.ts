/** What a command can be called with, and what that does: at the end of its help. */
const examples: Record<string, readonly (readonly [call: string, about: string])[]> = {
  generate: [
    ['generate "Once upon a time"', 'continue a text with the embedded model'],
    [
      'generate --prompt-file story.txt --model allenai/OLMo-2-0425-1B',
      'a file, with a model from the hub',
    ],
    ['generate -- "-5 is a number"', 'a text that begins with a dash'],
    ['generate "Hello" --chat --json', 'answer a message, as JSON lines'],
  ],
  chat: [
    ['chat', 'chat with the embedded model'],
    ['chat allenai/OLMo-2-0425-1B-Instruct --system "Be brief."', 'with a model from the hub'],
  ],
  tokenize: [
    ['tokenize "Hello, world"', 'one id and its text per line'],
    ['tokenize "Hello, world" --ids | olmo2 tokenize --decode', 'encode and decode'],
  ],
  info: [
    ['info', 'the embedded model'],
    ['info allenai/OLMo-2-1124-7B --json', 'a model from the hub, as JSON'],
  ],
  pull: [
    ['pull allenai/OLMo-2-0425-1B', 'fetch a model, and print its folder'],
    [
      'pull allenai/OLMo-2-0425-1B --revision tokens=1T',
      'the checkpoint nearest to a number of tokens',
    ],
  ],
  cache: [
    ['cache', 'list the cached models'],
    ['cache verify --fix', 'remove damaged files'],
    ['cache remove allenai/OLMo-2-0425-1B --dry-run', 'show what would be removed'],
    ['cache save mornings', 'what a running server keeps of texts; cache load takes it back'],
  ],
  revisions: [
    ['revisions allenai/OLMo-2-0425-1B --stage 1 --every 100000', 'some checkpoints of stage 1'],
    ['revisions allenai/OLMo-2-0425-1B --near-tokens 1T', 'the one nearest to a number of tokens'],
  ],
  trace: [
    ['trace -p "Once upon a" -c " time" -c " king"', "over the embedded model's checkpoints"],
    [
      'trace allenai/OLMo-2-0425-1B -p "Paris is in" -c " France" -r every:20 --no-keep',
      'over those of a model from the hub',
    ],
  ],
  perplexity: [
    ['perplexity DIR text.txt', 'of one model'],
    ['perplexity DIR text.txt --types q8_0,q4_k_m', 'what smaller types change'],
    ['perplexity --model DIR - < text.txt', 'of standard input'],
  ],
  eval: [
    ['eval --tasks arc_easy,piqa --limit 100', 'the embedded model, on a few questions'],
    ['eval DIR --tasks card --out results/a', 'all tasks of the model card; --resume continues'],
    ['eval fetch', "get the tasks' data"],
    ['eval RUN --revisions every:20 --tasks my.jsonl', 'a task of your own, along a training run'],
    ['eval compare results/a results/b', 'two evaluations, and which differences may be chance'],
    ['eval report results/a', 'one HTML page of an evaluation'],
    ['eval show results/a --card', "beside the model card's numbers"],
  ],
  parity: [
    ['parity DIR --reference reference.json', 'a checkpoint beside transformers'],
    ['parity DIR --reference reference.json -o parity.md', 'and write it as a page'],
  ],
  bench: [
    ['bench DIR --metrics prefill512,decode@512', 'how fast a model reads and writes'],
    ['bench --rounds 5 --json', 'the embedded model, as JSON'],
  ],
  serve: [
    ['serve', 'the embedded model, as olmo2-5m'],
    ['serve allenai/OLMo-2-0425-1B-Instruct --dtype q8_0 --port 0', 'a model from the hub'],
    [
      'serve base=DIR --host 0.0.0.0 --api-key-file keys.txt',
      'under a name, for other machines, with a key',
    ],
  ],
  quantize: [
    ['quantize DIR model.gguf --type q4_k_m', 'a smaller file'],
    [
      'quantize DIR model.gguf --type q4_0 --imatrix text.txt',
      'keeping the weights that matter for a text',
    ],
  ],
  convert: [
    ['convert model.gguf folder', 'a GGUF file as a folder that transformers loads'],
    ['convert run/checkpoints/step100 tuned', 'a checkpoint of OLMo-core, through torch'],
  ],
  finetune: [
    [
      'finetune prepare chats.jsonl --out data/ --tokenizer allenai/OLMo-2-0425-1B-Instruct --format olmo-core --chat-template olmo',
      'as Open Instruct converts it for OLMo-core',
    ],
    ['finetune inspect data/', 'check a folder, and show what is learnt from it'],
    ['finetune launch data --model DIR --out run', 'train on prepared data with OLMo-core'],
    ['finetune doctor', 'what the Python environment has and lacks'],
  ],
  prepare: [['prepare --text text/ --out data/ --vocab-size 4096', 'token files and a tokenizer']],
  train: [
    ['train run.yaml', 'train as the file says'],
    ['train run.yaml --resume', 'continue where it stopped'],
  ],
  plot: [['plot run/', 'draw the curves here and in run/plot.svg']],
  doctor: [
    ['doctor', 'the binary, the CPU, the memory, the cache, the hub'],
    ['doctor --json', 'the same for a bug report, without tokens'],
  ],
  completion: [
    ['completion bash > ~/.local/share/bash-completion/completions/olmo2', 'for bash-completion'],
    ['completion fish > ~/.config/fish/completions/olmo2.fish', 'in fish'],
  ],
}

const FIRST: readonly (readonly [call: string, about: string])[] = [
  ['generate "Once upon a time"', 'continue a text with the small model in the package'],
  [
    'generate "The sky is blue because" --model allenai/OLMo-2-0425-1B',
    "one of Ai2's models, fetched once",
  ],
  ['doctor', 'what this machine can run'],
]

/** What the command says when it is called with nothing. */
export function greeting(version: string): string {
  return `olmo2 ${version}: OLMo 2, the fully open language models, here.
Three things to try:

${callsOf(FIRST)}

All commands: olmo2 help
`
}

/** The examples of a command, as its help shows them. */
export function examplesOf(name: string): string {
  return `\nExamples:\n${callsOf(examples[name] ?? [])}`
}

function callsOf(calls: readonly (readonly [call: string, about: string])[]): string {
  return calls.map(([call, about]) => `  # ${about}\n  olmo2 ${call}`).join('\n')
}
