import { convert, isUnit, type Conversion } from './lib/units.ts';

interface Event {
  pathParameters: { unit: string };
  queryStringParameters?: Record<string, string>;
}

interface Context {
  awsRequestId: string;
}

type Answer = Conversion | { statusCode: number; body: { error: string } };

export async function handler(event: Event, context: Context): Promise<Answer> {
  const { unit } = event.pathParameters;
  const value: number = Number(event.queryStringParameters?.value);
  if (!isUnit(unit)) return { statusCode: 404, body: { error: `there is no unit ${unit}` } };
  if (Number.isNaN(value)) return { statusCode: 400, body: { error: 'value is a number' } };
  console.log(context.awsRequestId, 'converts', value, unit);
  return convert(value, unit);
}
