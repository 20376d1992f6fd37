/** Why a process can't start, said to the person who started it: the message alone tells all, without a stack. */
export class PlainError extends Error {}
