import { nanoid } from 'nanoid'

/** What consumers call an API process by; unlike earlier releases' names, one whose process takes lists of changes. */
export const newReplyName = (): string => `${mark}${nanoid()}`

/** Whether the process of this name understands a list of changes; else each is sent by itself. */
export const takesLists = (name: string): boolean => name.startsWith(mark)

/** In no name that earlier releases give. */
const mark = '+'
