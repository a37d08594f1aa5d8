// Answers an HTTP request, or the event of `cove invoke`.
export const handler = async (event, context) => {
  const name = event.pathParameters?.name ?? "you";
  console.log(`greeting ${name}`);
  return {
    statusCode: 200,
    headers: { "content-type": "text/plain; charset=utf-8" },
    body: `${process.env.GREETING}, ${name}!\n`,
  };
};
