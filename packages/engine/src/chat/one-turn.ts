import { type Conversation, refuse, type Turn } from './conversation.ts'

/** The only turn of a conversation with a model that was trained on single questions; throws `invalid_input` where there are others. */
export function oneTurn({ turns, field }: Conversation, family: string): Turn {
  const [turn, ...others] = turns
  if (turn !== undefined && others.length === 0 && turn.role === 'user') return turn
  throw refuse(field, `one message of the user's, as ${family} answers single questions (there are ${turns.length})`)
}
