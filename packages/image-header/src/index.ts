export { type ImagePart, type ImageFormat, formatOf, partsOf } from './parts.ts'
export { orientationOf } from './orientation.ts'
export { type ImageSize, sizeOf, uprightSizeOf } from './size.ts'
