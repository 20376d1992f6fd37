import { chatting } from './chats.ts'
import { classifiers } from './classifiers.ts'
import { detectors } from './detectors.ts'
import type { Layout } from './folder.ts'
import { generators } from './generators.ts'
import { imagesAndTexts } from './image-and-text.ts'
import { lacking } from './refused.ts'

export type { Layout } from './folder.ts'

/** The public layouts that were looked at, and what people save instead of them. */
export const layouts: readonly Layout[] = [
  ...classifiers,
  ...imagesAndTexts,
  ...generators,
  ...detectors,
  ...chatting,
  ...lacking,
]
