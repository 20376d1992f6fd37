/**
 * How a chat is asked and answered, for those who have one answered elsewhere by the same questions. Nothing here loads
 * ONNX Runtime or the image library.
 */
export { type ChatDefaults } from './chat-defaults.ts'
export {
  chatInputSchema,
  chatOutputSchema,
  type ChatParameters,
  chatParametersSchema,
  mostImages,
} from './chat-schemas.ts'
export { type Conversation, refuse, toConversation } from './conversation.ts'
export { parseInput } from '../tasks/task.ts'
