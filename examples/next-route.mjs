// A route handler of Next.js: app/api/generate/route.js. next.config.mjs needs `serverExternalPackages: ['olmo2']`.
//
//   curl -N 'http://127.0.0.1:3000/api/generate?prompt=Once+upon+a+time'
import { Olmo2 } from 'olmo2'

export const runtime = 'nodejs'
export const dynamic = 'force-dynamic'

/** One model for all requests, loaded at the first. */
let loading

export async function GET(request) {
  loading ??= Olmo2.load(process.env.MODEL)
  const model = await loading
  const prompt = new URL(request.url).searchParams.get('prompt')
  if (!prompt) return new Response('there is no prompt\n', { status: 400 })
  const { textStream } = model.generate(prompt, { maxNewTokens: 64, signal: request.signal })
  const body = ReadableStream.from(textStream).pipeThrough(new TextEncoderStream())
  return new Response(body, { headers: { 'content-type': 'text/plain; charset=utf-8' } })
}
