// Converts a temperature: /<function>/20?unit=c
interface Event {
  pathParameters?: { value?: string };
  queryStringParameters?: { unit?: string };
}

interface Answer {
  statusCode: number;
  headers: Record<string, string>;
  body: string;
}

function answer(statusCode: number, body: unknown): Answer {
  return { statusCode, headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
}

export async function handler(event: Event): Promise<Answer> {
  const value = Number(event.pathParameters?.value);
  const unit = event.queryStringParameters?.unit ?? "c";
  if (Number.isNaN(value)) return answer(400, { error: "the value must be a number" });
  console.log(`converting ${value} ${unit}`);
  switch (unit) {
    case "c":
      return answer(200, { celsius: value, fahrenheit: (value * 9) / 5 + 32 });
    case "f":
      return answer(200, { celsius: ((value - 32) * 5) / 9, fahrenheit: value });
    default:
      return answer(400, { error: "the unit must be c or f" });
  }
}
