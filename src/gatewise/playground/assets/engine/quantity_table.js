/** The quantities of a program: their records, their roles and their gradients. */

export class QuantityTable {
  /** @param {WrittenQuantities} written */
  constructor({records, roles}) {
    this.roles = /** @type {Roles} */ (roles); // what a program has not, nobody asks it for
    this.records = new Map(records.map(quantity => [quantity.text, quantity]));
    /** @type {Map<string, string>} */
    this.gradients = new Map();
    for (const {text, gradient_of: of} of records) if (of !== null) this.gradients.set(of, text);
  }

  /** The record of a name. @param {string} name @returns {Quantity} */
  record(name) {
    const quantity = this.records.get(name);
    if (quantity === undefined) throw new Error(`there is no quantity ${name}`);
    return quantity;
  }

  /** The name of the gradient with respect to a quantity, or null. @param {string} name */
  gradient(name) {
    return this.gradients.get(name) ?? null;
  }
}
