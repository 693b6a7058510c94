/** A pass over the steps of a program, forward or backward, as far as it is asked for. */

const AT_ONCE = 8; // steps, between two looks at the clock

export class Pass {
  /**
   * @param {Int32Array} order of the steps, from the first or from the last: at a step it holds the step's place
   * @param {boolean} carries whether a step depends on the one before
   * @param {(step: number, next: number | undefined) => void} compute
   */
  constructor(order, carries, compute) {
    this.order = order;
    this.carries = carries;
    this.compute = compute;
    this.done = 0; // so many steps of the order are computed
    this.ready = new Uint8Array(order.length); // where nothing is carried: others that are, too
  }

  /** Compute a step, and what it depends on. @param {number} step */
  to(step) {
    if (!this.carries) {
      if (this.ready[step] === 0) this.compute(step, undefined);
      this.ready[step] = 1;
      return;
    }
    for (const end = this.order[step]; this.done <= end; this.done++) {
      this.compute(this.order[this.done], this.order[this.done + 1]);
    }
  }

  /** Compute some further steps; whether any were left. */
  advance() {
    while (!this.carries && this.ready[this.order[this.done]] === 1) this.done++;
    const start = this.done,
      end = Math.min(start + AT_ONCE, this.order.length);
    for (let n = start; n < end; n++) this.to(this.order[n]);
    return start < end;
  }

  /** Forget what depends on the steps from one to another. @param {number} first @param {number} last */
  forget(first, last) {
    this.done = Math.min(this.done, this.order[first], this.order[last]);
    this.ready.fill(0, first, last + 1);
  }

  /** Stand where another pass of the same program stands. @param {Pass} other */
  copyFrom({done, ready}) {
    this.done = done;
    this.ready.set(ready);
  }
}
