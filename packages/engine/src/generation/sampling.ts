/** How a token is chosen of the scores that the rules left, with the meaning of Hugging Face's warpers. */
export interface SamplingOptions {
  /** Scores are divided by it; 0: always the likeliest token, and the rest is not looked at. */
  temperature: number
  /** Of the likeliest tokens as many as together have this probability; 1: all. */
  topP: number
  /** The so many likeliest tokens; 0: all. */
  topK: number
  /** No token of less than this part of the likeliest one's probability; 0: all. */
  minP: number
  /** A whole number from 0 to 2 ** 53 - 1. Equal seeds choose equal tokens, whoever shares the batch. */
  seed: number
  /** How many alternatives are told at each place beside the chosen token; null: no logprobs at all. */
  logprobs: number | null
}
