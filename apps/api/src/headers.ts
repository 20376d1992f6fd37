/**
 * What every answer carries. It is never kept by caches between, never taken for another type, and where a
 * browser shows it as a page it loads nothing and stands in no frame; the docs page allows itself a little more.
 */
export function commonHeaders(requestId: string): Record<string, string> {
  return {
    'X-Request-Id': requestId,
    'X-Content-Type-Options': 'nosniff',
    'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
    'Cross-Origin-Resource-Policy': 'same-origin',
    'Referrer-Policy': 'no-referrer',
    'Cache-Control': 'no-store',
  }
}
