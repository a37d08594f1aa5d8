exports.handler = async (event) => {
  const { name } = event.pathParameters;
  console.log('greeting', name);
  return { message: `${process.env.GREETING}, ${name}!` };
};
