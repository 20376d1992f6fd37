import { refusal } from '../../expectation.ts'
import type { Question, SubmittedImage } from '../../intake/submission.ts'
import { imageOfText } from './image-text.ts'
import type { SubmissionLimits } from './question.ts'
import { parseTextFields } from './text-fields.ts'

/** A form as it came, whatever encoded it: text by the fields' names, and what came as images, in order. */
export interface Form {
  texts: Map<string, string[]>
  images: FormImage[]
}

/** The bytes of a file, or a text that stands for an image; neither is empty. */
export interface FormImage {
  /** The field's name as it was sent. */
  field: string
  content: Uint8Array | string
}

/** More than any model has inputs; each costs a little, whatever is in it. */
export const maxFormFields = 256

/** `image` or `images`, or as some clients write whatever may be a list: `image[]`, `images[0]`. */
export function isImageField(name: string): boolean {
  return /^images?(\[\d{0,4}\])?$/.test(name)
}

/** An image is a field `image` or `images`: a file, or a text as in JSON. Every other field is text. */
export function parseFormSubmission(form: Form, limits: SubmissionLimits): Question {
  const question = parseTextFields(form.texts, limits)
  return { ...question, images: form.images.map((image) => submittedImage(image, limits)) }
}

/** The form's one image. Throws where there is none, or another. */
export function onlyImage({ images }: Form): FormImage {
  const [image, ...more] = images
  if (image !== undefined && more.length === 0) return image
  const found = image === undefined ? 'missing, or empty' : `there are ${images.length}`
  const expected = `one file that is not empty, or one image as text (${found})`
  throw refusal('invalid_request', [{ field: 'image', expected }])
}

function submittedImage({ field, content }: FormImage, limits: SubmissionLimits): SubmittedImage {
  if (typeof content === 'string') return imageOfText(content, { field, ...limits })
  return { kind: 'bytes', bytes: content }
}

/** Adds a text to a form; an empty one counts as not sent, as a page sends its empty fields too. */
export function addText({ texts }: Form, name: string, text: string): void {
  if (text === '') return
  const values = texts.get(name)
  if (values === undefined) texts.set(name, [text])
  else values.push(text)
}
