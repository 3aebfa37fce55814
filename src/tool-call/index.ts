export { type CallMarks, readCalls, ToolCallReader, type ToolEvent } from './reader.js'
export type { FunctionTool, ToolCall, ToolChoice, ToolMessage } from './types.js'
