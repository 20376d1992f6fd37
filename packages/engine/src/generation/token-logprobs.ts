/** How likely the model itself took a token to be: from its scores as they are, before penalties, constraints and temperature. */
export interface TokenLogprob {
  token: number
  logprob: number
  /** The likeliest tokens at this place, the likeliest first; the chosen one may be among them or not. */
  alternatives: { token: number; logprob: number }[]
}
