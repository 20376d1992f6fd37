import { z } from 'zod'

import type { MapPlace } from '../images/grey-map.ts'
import type { ImagePlace } from './image-place.ts'

/** Of the images that a job gets back. */
export const maxEdgeSchema = z
  .int()
  .min(16)
  .max(8192)
  .default(2048)
  .describe('an image that comes back is as large as the one that was sent, or its longer edge has so many pixels')

/** Where a map over the whole tensor lies in the upright original, made smaller where its longer edge is over `maxEdge`. */
export function mapPlaceOf(place: ImagePlace, maxEdge: number): MapPlace {
  const factor = Math.min(1, maxEdge / Math.max(place.width, place.height))
  return {
    width: Math.max(1, Math.round(place.width * factor)),
    height: Math.max(1, Math.round(place.height * factor)),
    left: place.left * factor,
    top: place.top * factor,
    spanX: place.spanX * factor,
    spanY: place.spanY * factor,
  }
}
