/** A function that the model may call, as OpenAI and transformers write it. */
export interface FunctionTool {
  type: 'function'
  function: {
    name: string
    description?: string
    /** What it takes: a JSON schema of an object. Default: nothing. */
    parameters?: Readonly<Record<string, unknown>>
    [key: string]: unknown
  }
  [key: string]: unknown
}

/**
 * Whether the model calls: as it likes (`auto`), not at all (`none`), at least one of the tools (`required`),
 * or a certain one.
 */
export type ToolChoice =
  | 'auto'
  | 'none'
  | 'required'
  | { readonly type: 'function'; readonly function: { readonly name: string } }

/** A call that the model asks for. */
export interface ToolCall {
  /** A new one for each call. */
  id: string
  name: string
  /** What the arguments' JSON says. */
  arguments: unknown
}

/** What a model says in a message that may have calls: as it goes into a conversation. */
export interface ToolMessage {
  role: 'assistant'
  /** What is said beside the calls; null if that is nothing. */
  content: string | null
  tool_calls?: { id: string; type: 'function'; function: { name: string; arguments: unknown } }[]
  [key: string]: unknown
}
