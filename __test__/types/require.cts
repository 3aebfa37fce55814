// The same package as CommonJS sees it: it only has to compile.
import olmo2 = require('olmo2')
import hub = require('olmo2/hub')
import trace = require('olmo2/trace')

export async function main(): Promise<string> {
  const model: olmo2.Olmo2 = await olmo2.Olmo2.load()
  const { text }: olmo2.Completion = await model.generate('a', { maxNewTokens: 1 })
  await model.dispose()
  return text
}

export async function traced(out: string): Promise<trace.TraceResult[]> {
  const revisions: hub.Revision[] = await hub.listRevisions('allenai/OLMo-2-0425-1B')
  const results: trace.TraceResult[] = []
  const options: trace.TraceToFilesOptions = { out, revisions: revisions.map(({ name }) => name) }
  for await (const result of trace.traceToFiles('run', { prompt: 'a' }, options))
    results.push(result)
  return results
}
