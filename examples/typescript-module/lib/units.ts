export type Unit = 'celsius' | 'fahrenheit';

export interface Conversion {
  value: number;
  unit: Unit;
}

const conversions: Record<Unit, (value: number) => Conversion> = {
  celsius: (value) => ({ value: (value * 9) / 5 + 32, unit: 'fahrenheit' }),
  fahrenheit: (value) => ({ value: ((value - 32) * 5) / 9, unit: 'celsius' }),
};

export const isUnit = (text: string): text is Unit => Object.hasOwn(conversions, text);

export const convert = (value: number, unit: Unit): Conversion => conversions[unit](value);
