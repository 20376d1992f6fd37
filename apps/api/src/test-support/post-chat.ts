import { image } from './client-bodies.ts'
import type { TestApi } from './start-api.ts'

/** The test image as a data: URI. */
export const imageUri = `data:image/png;base64,${image}`

/** A user's turn with the image and a text. */
export function ask(text: string, url = imageUri): object {
  return {
    role: 'user',
    content: [
      { type: 'text', text },
      { type: 'image_url', image_url: { url } },
    ],
  }
}

/** Sends a body to `POST /v1/chat/completions`, as it is or as JSON. */
export async function postChat(
  api: TestApi,
  body: unknown,
  { headers = {}, signal = null }: { headers?: Record<string, string>; signal?: AbortSignal | null } = {},
): Promise<Response> {
  return fetch(`${api.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
    signal,
  })
}
