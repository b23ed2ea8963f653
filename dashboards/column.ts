/** Doubles that grow at their end, without a copy for each that comes. */
export class Column {
  #room = new Float64Array(0);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** All of them. What is appended later is not in it. */
  get all(): Float64Array {
    return this.#room.subarray(0, this.#length);
  }

  append(values: Float64Array): void {
    this.#reserve(this.#length + values.length);
    this.#room.set(values, this.#length);
    this.#length += values.length;
  }

  /** Makes this as long as `values`: each that is missing is what `follow` makes of the value. */
  extend(values: Float64Array, follow: (value: number) => number): void {
    this.#reserve(values.length);
    const room = this.#room;
    for (let index = this.#length; index < values.length; index += 1) {
      room[index] = follow(values[index]!);
    }
    this.#length = values.length;
  }

  #reserve(length: number): void {
    if (length <= this.#room.length) return;
    const room = new Float64Array(Math.ceil(length * 1.25));
    room.set(this.all);
    this.#room = room;
  }
}
