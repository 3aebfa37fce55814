import { sendText } from '../body.js'
import type { Exchange } from '../exchange.js'
import { PAGE, POLICY } from '../page/page.js'

/** `GET /`: a page to talk with the models. */
export async function page({ response }: Exchange): Promise<void> {
  sendText(response, 200, 'text/html; charset=utf-8', PAGE, {
    'content-security-policy': POLICY,
    'cache-control': 'no-cache',
    'referrer-policy': 'no-referrer',
  })
}
