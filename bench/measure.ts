/**
 * What a bench measures, as data.
 *
 * @module
 */

/** A ratio that has to be reached, or not to be passed. */
export type Target =
  & {
    /** Who has to be quick. */
    readonly of: string;
    /** Compared with whom. */
    readonly over: string;
    /** The number of an answer that it is about, from 0; left out: each of them. */
    readonly number?: number;
  }
  & ({
    /** The least ratio that will do. */
    readonly least: number;
  } | {
    /** The greatest ratio that will do. */
    readonly most: number;
  });

/** One thing to measure. */
export interface Measure {
  /** Its name on the command line. */
  readonly name: string;
  /** The title of each number of an answer, with its unit; every peer returns as many. */
  readonly titles: readonly string[];
  /** The request each peer gets, without the milliseconds. */
  readonly requests: { readonly [peer: string]: string };
  /** What must hold of each number; left out: it is only shown. */
  readonly targets?: readonly Target[];
}
